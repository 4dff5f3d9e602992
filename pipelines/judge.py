"""The figures of one forecast of a video whose future is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from motmetrics import MOTAccumulator

from data.videos import Truth, Video
from dlp.particles import LIVE
from pipelines.baselines import (
    constant_velocity,
    copy_last,
    median_background,
    optical_flow,
)
from pipelines.forecast import Forecast, join
from pipelines.lpips import LPIPS, lpips
from pipelines.metrics import (
    TOLERANCE,
    coverage,
    jitter,
    live_per_object,
    position_error,
    precision,
    track_error,
)
from pipelines.pixel_metrics import moving_mask, pooled_psnr, psnr, psnr_moving, ssim, uniform_ssim
from pipelines.report import mean
from pipelines.segments import foreground_ari, foreground_miou, whole_clip
from pipelines.spread import (
    COUNT_OFF,
    calibration,
    followed_rows,
    live_count_error,
    spread_figures,
)
from pipelines.tracking import follow, summarise
from pipelines.troubles import context_switches, heaviest, troubles

OWN = "own constant velocity"
"""The baseline of the model's own particles, and not of the true tracks."""


@dataclass(frozen=True)
class Judged:
    """One window's figures.

    Args:
        curves: method to figure to [h].
        reconstruction: dB, of the context.
        particles: figure to value.
        troubles: what went wrong, in plain words, where true tracks are known.
        inside: [len(LEVELS)] how often the truth is inside the samples' intervals; None without.
        matched: particles matched to objects frame by frame, where true tracks are known.
    """

    curves: dict[str, dict[str, np.ndarray]]
    reconstruction: float
    particles: dict[str, float]
    troubles: list[str] = field(default_factory=list)
    inside: np.ndarray | None = None
    matched: MOTAccumulator | None = None


def judge(
    video: Video,
    seen: Forecast,
    future: Forecast,
    coasted: Forecast,
    context: int,
    still: np.ndarray,
    drawn: Forecast | None = None,
    perceptual: Mapping[str, LPIPS] | None = None,
    segments: np.ndarray | None = None,
) -> Judged:
    """All figures of one window of exactly context + horizon frames.

    Args:
        video: the window.
        seen, future: its context as reconstructed, and the forecast.
        coasted: the same particles at constant velocity, drawn.
        context: frames that were seen.
        still: the videos' median frame.
        drawn: sampled futures.
        perceptual: LPIPS by trunk.
        segments: [horizon, h, w] the particle of each pixel, where true masks are known.
    """
    known = np.ascontiguousarray(video.frames[:context])
    true = np.ascontiguousarray(video.frames[context:])
    horizon = len(true)
    mask = moving_mask(true, known[-1], still)
    pixels = {
        "model": future.frames,
        "copy-last": copy_last(known, horizon),
        "median background": median_background(known, horizon),
        "optical flow": optical_flow(known, horizon),
        OWN: coasted.frames,
    }
    curves: dict[str, dict[str, np.ndarray]] = {
        name: {
            "psnr": psnr(frames, true),
            "ssim": ssim(frames, true),
            "ssim_uniform": uniform_ssim(frames, true),
            "psnr_moving": psnr_moving(frames, true, mask),
        }
        for name, frames in pixels.items()
    }
    for trunk, model in (perceptual or {}).items():
        for name, frames in pixels.items():
            curves[name][f"lpips_{trunk}"] = lpips(model, frames, true)
    clips: dict[str, float] = {}
    if segments is not None and video.truth is not None and video.truth.mask is not None:
        labels = video.truth.mask[context:]
        curves["model"]["fg_ari"] = foreground_ari(segments, labels)
        curves["model"]["fg_miou"] = foreground_miou(segments, labels)
        curves["model"]["fg_miou_twice"] = foreground_miou(segments, labels, twice=True)
        whole = whole_clip(segments, future.identity), labels.reshape(1, -1, labels.shape[-1])
        clips = {
            "FG-ARI over whole clips": float(foreground_ari(*whole)[0]),
            "FG-mIoU over whole clips": float(foreground_miou(*whole)[0]),
        }
    particles = {
        "PSNR from the mean error over all frames, dB": pooled_psnr(future.frames, true),
        **{
            f"PSNR from the mean error over all frames, dB, {name}": pooled_psnr(frames, true)
            for name, frames in pixels.items()
            if name != "model"
        },
        **clips,
        "jitter of the context's tracks, px": jitter(seen.position, seen.transparency),
    }
    judged = Judged(curves, float(psnr(seen.frames, known).mean()), particles)
    if video.truth is None:
        return judged
    if video.truth.mask is not None:
        judged.troubles.extend(heaviest(future.frames, true, video.truth.mask[context:]))
    side = max(true.shape[1:3])
    inside, matched = _add_positions(judged, video.truth, seen, future, coasted, side, drawn)
    return replace(judged, inside=inside, matched=matched)


def _add_positions(
    judged: Judged,
    truth: Truth,
    seen: Forecast,
    future: Forecast,
    coasted: Forecast,
    side: int,
    drawn: Forecast | None,
) -> tuple[np.ndarray | None, MOTAccumulator]:
    """Add what only true tracks can tell; how often they are inside the samples' intervals."""
    context = len(seen)
    curves = judged.curves
    ahead, past = truth.at(slice(context - 1, None)), truth.at(slice(0, context))
    everything = join([seen, future])
    whole = everything[context - 1 :]
    position = followed_rows(whole.position, whole.identity)
    # Rows that the context's last frame did not show coast there: they are not matched.
    followed = position_error(position, whole.transparency, ahead, side)
    future_truth = ahead.at(slice(1, None))
    true_coasting = constant_velocity(past.position, past.visible, len(future.frames))
    standing = np.repeat(position[:1, followed.particle], len(future.frames), 0)
    target = followed.target
    curves["model"]["position_error"] = mean(followed.error, 1)
    guesses = {
        "copy-last": standing,
        OWN: coasted.position[:, followed.particle],
        "true constant velocity": true_coasting[:, target],
    }
    for name, guess in guesses.items():
        error = mean(track_error(guess, future_truth, target), 1)
        curves.setdefault(name, {})["position_error"] = error
    tolerance = TOLERANCE * side
    curves["model"]["coverage"], curves["model"]["precision"] = (
        np.array(
            [
                share(
                    future.position[step],
                    future.transparency[step],
                    future_truth.at(step),
                    tolerance,
                )
                for step in (slice(t, t + 1) for t in range(len(future)))
            ]
        )
        for share in (coverage, precision)
    )
    spread, inside = {}, None
    if drawn is not None:
        start = np.broadcast_to(seen.position[-1:], (len(drawn.position), 1, *position.shape[1:]))
        first = np.broadcast_to(seen.identity[-1:], (*start.shape[:2], position.shape[1]))
        paths = followed_rows(
            np.concatenate([start, drawn.position], 1), np.concatenate([first, drawn.identity], 1)
        )[:, 1:]
        there = future_truth.position[:, target], future_truth.visible[:, target]
        samples = paths[:, :, followed.particle]
        spread = spread_figures(samples, position[1:, followed.particle], *there)
        inside = calibration(samples, *there)
    live = np.where(everything.transparency > LIVE, everything.identity, -1)
    matched = follow(everything.position, live, truth, tolerance)
    switched = context_switches(matched, context)
    judged.troubles.extend(troubles(followed, whole, ahead, side, switched))
    judged.particles.update(
        {
            **spread,
            "visible objects whose particle is followed": (
                len(target) / followed.visible if followed.visible else float("nan")
            ),
            **_identity(matched),
            COUNT_OFF: live_count_error(future.transparency, future_truth),
            "coverage of the context": coverage(seen.position, seen.transparency, past, tolerance),
            "precision of the context": precision(
                seen.position, seen.transparency, past, tolerance
            ),
            "live particles per object": live_per_object(seen.transparency, past),
        }
    )
    return inside, matched


def _identity(matched: MOTAccumulator) -> dict[str, float]:
    """How well identity is kept, from the context's first frame to the last that is forecast."""
    found = summarise({"video": matched})["video"]
    return {
        "IDF1 of context and forecast": found["idf1"],
        "identity switches per 1,000 object-frames": found["switches_per_1000"],
    }
