"""The sentences of a report: who is better, how far brackets can be trusted, what is missing."""

from __future__ import annotations

import numpy as np

from pipelines.conventions import CALIBRATED, conventions
from pipelines.figures import FIGURES, measured
from pipelines.results import FEW, EvaluationResult, interval, mean

SAMPLES = 20
"""Futures that a report proposes to draw: the fewest, rounded, that have a 90 % interval."""


def verdict(result: EvaluationResult) -> str:
    """Whether the forecast beats copy-last: moving pixels at step 5, SSIM over all steps."""
    copy = result.baselines.get("copy-last")
    sentences = []
    for key, name, unit in (("psnr_moving", "on moving pixels", " dB"), ("ssim", "in SSIM", "")):
        ours, theirs = getattr(result.model, key), getattr(copy, key, None)
        if ours is None or theirs is None:
            continue
        step = min(5, ours.shape[1])
        at_step = key == "psnr_moving"
        where = f"at step {step}" if at_step else "over all steps"
        gain = ours - theirs
        gain = gain[:, step - 1] if at_step else mean(gain, 1)
        size, (low, high) = float(mean(gain)), interval(gain, result.seed)
        if np.isnan(size):
            sentences.append(f"Nothing moves {where}, so nothing is said {name}.")
            continue
        digits = 2 if at_step else 4
        word = "beats copy-last" if size > 0 else "does NOT beat copy-last"
        sentences.append(
            f"The forecast {word} {name} {where}: {size:+.{digits}f}{unit}"
            f"{brackets(low, high, digits)}."
        )
    return " ".join(sentences) or "There is no copy-last to compare the forecast with."


def brackets(low: np.ndarray, high: np.ndarray, digits: int) -> str:
    """An interval behind its mean; nothing if there is none."""
    if np.isnan(low):
        return ""
    return f" [{float(low):.{digits}f}, {float(high):.{digits}f}]"


def trust(result: EvaluationResult) -> str:
    """What figures in brackets are, and why they say too little, if they do."""
    count = len(result.reconstruction_psnr)
    if count < 2:
        return "There are no intervals: it is a single video."
    text = "Figures in brackets and bands are 95 % intervals, by bootstrap over "
    text += "windows of a long video." if result.overlap else "videos (or windows of a long one)."
    if result.overlap:
        text += (
            " The windows overlap, so they are not independent and the intervals are too narrow."
        )
    if count < FEW:
        what = "windows" if result.overlap else "videos"
        text += f" They are of {count} {what} alone: too few for a good interval."
    return text


def missing(result: EvaluationResult) -> dict[str, str]:
    """Figure to why it is not there."""
    found = dict(result.notes)
    if result.inside is None and not any("samples" in name for name in found):
        if result.model.position_error is None:
            reason = f"it takes true tracks and --samples {SAMPLES}"
        elif result.settings.get("dynamics.chance") == 0:
            reason = "the run was trained with --dynamics.chance 0 and foresees one future"
        else:
            reason = f"add --samples {SAMPLES}"
        found["calibration of sampled futures"] = f"not computed: {reason}"
    return found


def told(result: EvaluationResult) -> dict[str, str]:
    """Title to convention, of all figures that the report has."""
    steps = [figure.key for figure in FIGURES if measured(result, figure)]
    once = [*result.once, *result.whole, *([] if result.inside is None else [CALIBRATED])]
    return conventions(steps, once, result.seed)
