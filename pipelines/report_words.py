"""The sentences of a report: who is better, how far brackets can be trusted, what is missing."""

from __future__ import annotations

import numpy as np

from pipelines.conventions import CALIBRATED, conventions
from pipelines.figures import FIGURES, measured
from pipelines.results import FEW, EvaluationResult, interval, mean

SAMPLES = 20
"""Futures that a report proposes to draw: the fewest, rounded, that have a 90 % interval."""


def verdict(result: EvaluationResult) -> str:
    """Whether the forecast beats copy-last, in moving pixels at step 5 and in SSIM over all steps,
    and in the former the best of the other baselines."""
    copy = result.baselines.get("copy-last")
    if copy is None or result.model.ssim is None or copy.ssim is None:
        return "There is no copy-last to compare the forecast with."
    sentences = []
    moving = {
        name: scores.psnr_moving
        for name, scores in {"model": result.model, **result.baselines}.items()
        if scores.psnr_moving is not None
    }
    if "copy-last" in moving:
        step = min(5, moving["model"].shape[1])
        at = {name: values[:, step - 1] for name, values in moving.items()}
        others = at.keys() - {"model", "copy-last"}
        if np.isnan(mean(at["model"])):
            sentences.append(f"Nothing moves at step {step}, so nothing is said of moving pixels.")
            others = set()
        else:
            where = f"on moving pixels at step {step}"
            sentences.append(_against("copy-last", at["model"] - at["copy-last"], where, result))
        if others:
            best = max(sorted(others), key=lambda name: float(mean(at[name])))
            gain = at["model"] - at[best]
            sentences.append(
                _against(f"{best}, the best of the other baselines,", gain, "", result)
            )
    gain = mean(result.model.ssim - copy.ssim, 1)
    sentences.append(_against("copy-last", gain, "in SSIM over all steps", result, 4))
    return " ".join(sentences)


def _against(
    whom: str, gain: np.ndarray, where: str, result: EvaluationResult, digits: int = 2
) -> str:
    """A sentence on the gains [v] over a baseline, in dB if there are two digits."""
    size, (low, high) = float(mean(gain)), interval(gain, result.seed)
    better = "is not surely better than" if low <= 0 else "beats"
    word = better if size > 0 else "does NOT beat"
    words = " ".join(filter(None, (f"The forecast {word}", whom, where or "there")))
    unit = " dB" if digits == 2 else ""
    return f"{words}: {size:+.{digits}f}{unit}{brackets(low, high, digits)}."


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
