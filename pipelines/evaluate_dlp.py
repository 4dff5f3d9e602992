"""Measure stage 1 alone, on videos that it was not trained on.

particlecast evaluate-dlp --data SOURCE --run DIR --out OUT
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.disturb import NAMES, disturb
from data.videos import Truth, Video
from dlp.build import ParticleModel
from dlp.particles import LIVE, Particles, concatenate, to_pixels
from dynamics.tracks import track
from pipelines.boards import fresh_board
from pipelines.encode import CHUNK, encode_frames
from pipelines.film import write_whole
from pipelines.folders import make_folder
from pipelines.frames import FramePool, to_uint8
from pipelines.load import check_size, held_out, load_dlp, open_data
from pipelines.metrics import TOLERANCE, coverage, live_per_object, on_hidden, precision
from pipelines.pixel_metrics import moving_mask, psnr, psnr_moving
from pipelines.pretrained import board_folder
from pipelines.probes import (
    identity,
    move_by_hand,
    nearer_on_top,
    object_errors,
    owners,
    shift_errors,
    shift_frames,
    steady,
    true_jitter,
)
from pipelines.progress import reporting
from pipelines.provenance import machine, trained
from pipelines.report_dlp import CLEAN, Judged, collect, head, page, scalars
from pipelines.results import mean

LINKED = 512  # frames that are linked at once: memory grows with their number times the identities
PROBED = 8  # frames of each video that are shifted, and of which one particle is moved
SHIFTS = ((1, -1), (-2, 2), (3, 3), (-4, -4))  # pixels
DISTURBED = CHUNK  # frames of each video that are disturbed


def evaluate_dlp(data: str, run: Path, out: Path, limit: int = 0) -> dict[str, Any]:
    """Write OUT/stage1.json and OUT/stage1.md, and print the head of the table.

    Args:
        limit: at most so many videos; 0: all.

    Returns:
        What stage1.json holds.

    Raises:
        UserError: the run or the source is unfit.
    """
    dlp = load_dlp(run)
    dataset = open_data(data, dlp.frames)
    check_size(dlp, dataset.whole, data)
    videos = held_out(dataset, dlp)[: limit or None]
    make_folder(out)
    judged = []
    with reporting() as progress:
        for index, video in enumerate(videos):
            judged.append(judge(dlp.model, video, np.random.default_rng(index)))
            progress("measuring stage 1", (index + 1) / len(videos))
    height, width = dataset.size
    meta = {
        "data": data,
        "run": str(run),
        "videos": len(videos),
        "frames": sum(len(video) for video in videos),
        "frame size": f"{width}x{height}",
        **trained(run, ("stage1",)),
        **machine(),
    }
    result = collect(judged, meta)
    write_whole(out / "stage1.md", page(result).encode())
    write_whole(out / "stage1.json", json.dumps(result, indent=1, allow_nan=False).encode())
    board = fresh_board(board_folder(run, out) / "stage1")
    board.scalars(scalars(result), 0)
    board.close()
    print("\n".join([*head(result), f"the table is {out / 'stage1.md'}"]), file=sys.stderr)
    return result


@dataclass(frozen=True)
class Seen:
    """What the model makes of t frames.

    Args:
        particles: [t, k, ...] on the CPU.
        position: [t, k, 2], (x, y) in pixels.
        transparency: [t, k] in [0, 1].
        psnr, psnr_moving: [t] dB of the reconstruction; NaN where nothing moves.
    """

    particles: Particles
    position: np.ndarray
    transparency: np.ndarray
    psnr: np.ndarray
    psnr_moving: np.ndarray


@torch.no_grad()
def look(model: ParticleModel, frames: np.ndarray) -> Seen:
    """Encode and decode frames [t, h, w, 3] uint8, CHUNK by CHUNK: pictures are not kept."""
    background = to_uint8(model.background_image()[None])[0]
    particles, whole, part = [], [], []
    for start in range(0, len(frames), CHUNK):
        true = np.ascontiguousarray(frames[start : start + CHUNK])
        particles.append(encode_frames(model, true))
        drawn = to_uint8(model.decode(particles[-1]).image)
        whole.append(psnr(drawn, true))
        part.append(psnr_moving(drawn, true, moving_mask(true, background, background)))
    every = concatenate(particles)
    return Seen(
        every,
        to_pixels(every.position, *model.size).numpy(),
        every.transparency.numpy(),
        np.concatenate(whole),
        np.concatenate(part),
    )


def judge(model: ParticleModel, video: Video, rng: np.random.Generator) -> Judged:
    """All figures of one video.

    Args:
        rng: decides how frames are disturbed.
    """
    seen = look(model, video.frames)
    probed = FramePool([video]).spread(PROBED)
    figures = {
        "psnr": float(mean(seen.psnr)),
        "psnr_moving": float(mean(seen.psnr_moving)),
        **shifted(model, video.frames[probed], seen.particles[probed]),
        **moved(model, seen.particles[probed]),
    }
    robust = disturbed(model, video, rng)
    if video.truth is None:
        return Judged(figures, robust)
    truth, tolerance = video.truth, TOLERANCE * max(model.size)
    figures |= found(seen, truth, tolerance)
    figures["live_per_object"] = live_per_object(seen.transparency, truth)
    figures |= linked(model, seen.particles, truth, tolerance)
    live = seen.transparency > LIVE
    owner = owners(seen.position, live, truth, tolerance)  # (t, k)
    if truth.mask is not None:
        ignored = on_hidden(seen.position, truth)
        figures["precision_ignoring"] = precision(
            seen.position, seen.transparency, truth, tolerance, ignored
        )
        figures["nearer_on_top"] = nearer_on_top(model, seen.particles, owner, truth.mask)
    frame, slot = np.nonzero(owner >= 0)
    side = np.array(model.size[::-1])
    sigma = np.exp(seen.particles.log_variance.numpy() / 2) * side / 2
    return Judged(
        figures,
        robust,
        error=object_errors(seen.position, seen.transparency, truth, tolerance),
        sigma=sigma[frame, slot],
        miss=seen.position[frame, slot] - truth.position[frame, owner[frame, slot]],
    )


def found(seen: Seen, truth: Truth, tolerance: float) -> dict[str, float]:
    """Where particles are, against where objects are."""
    where = (seen.position, seen.transparency, truth, tolerance)
    return {
        "coverage": coverage(*where),
        "precision": precision(*where),
        "position_error": float(mean(object_errors(*where))),
    }


def linked(
    model: ParticleModel, particles: Particles, truth: Truth, tolerance: float
) -> dict[str, float]:
    """Jitter and identity of the particles once they are linked, LINKED frames at a time.

    Each part weighs as much as its tracks have sightings of objects.
    """
    parts, sightings = [], []
    for start in range(0, len(particles.position), LINKED):
        part = slice(start, start + LINKED)
        tracks, true = track(particles[part], model.size), truth.at(part)
        position, seen = to_pixels(tracks.position, *model.size).numpy(), tracks.seen.numpy()
        owner = owners(position, seen, true, tolerance)
        fit = steady(true, model.size)
        kept = identity(owner, seen, true.visible)
        parts.append([true_jitter(position, owner, true, fit), *kept])
        sightings.append([float((owner >= 0).sum())])
    figures, weight = np.array(parts), np.array(sightings)
    weight = np.where(np.isnan(figures), np.nan, weight)  # (parts, 3)
    jitter, same, unbroken = (mean(figures * weight) / mean(weight)).tolist()
    return {"jitter": jitter, "identity": same, "identity_unbroken": unbroken}


def shifted(model: ParticleModel, frames: np.ndarray, particles: Particles) -> dict[str, float]:
    """How particles follow the picture when it is shifted.

    Args:
        frames: [n, h, w, 3] uint8.
        particles: of these, [n, k, ...].
    """
    # A glimpse further in, nothing of what comes in at the border is seen.
    margin = model.config.glimpse / 2 + max(abs(x) for shift in SHIFTS for x in shift)
    before, live = to_pixels(particles.position, *model.size).numpy(), _live(particles)
    errors, lost = [], []
    for shift in SHIFTS:
        again = encode_frames(model, shift_frames(frames, shift))
        after = to_pixels(again.position, *model.size).numpy()
        error, missing = shift_errors(
            before,
            live,
            after,
            _live(again),
            shift,
            model.size,
            margin,
            TOLERANCE * max(model.size),
        )
        errors.append(error)
        lost.append(missing)
    return {
        "shift_error": float(mean(np.concatenate(errors))),
        "shift_lost": float(mean(np.array(lost))),
    }


def _live(particles: Particles) -> np.ndarray:
    return (particles.transparency > LIVE).numpy()


def moved(model: ParticleModel, particles: Particles) -> dict[str, float]:
    """What moving one particle of each frame by hand does, where that is possible."""
    tries = [move_by_hand(model, particles[i : i + 1]) for i in range(len(particles.position))]
    done = [one for one in tries if one is not None]
    return {
        "hand_outside": max((one.outside for one in done), default=float("nan")),
        "hand_psnr": float(mean(np.array([one.psnr for one in done]))),
    }


def disturbed(
    model: ParticleModel, video: Video, rng: np.random.Generator
) -> dict[str, dict[str, float]]:
    """The same figures on clean and on disturbed copies of some frames; NaN without truth."""
    some = FramePool([video]).spread(DISTURBED)
    frames = np.ascontiguousarray(video.frames[some])
    copies = {CLEAN: (frames, np.zeros((len(some), 2)))}
    copies |= {name: disturb(name, frames, rng) for name in NAMES}
    figures = {}
    for name, (copy, shift) in copies.items():
        seen = look(model, copy)
        figures[name] = dict.fromkeys(("coverage", "precision", "position_error"), float("nan"))
        if video.truth is not None:
            truth = video.truth.at(some)
            truth = replace(truth, position=truth.position + shift[:, None])
            figures[name] = found(seen, truth, TOLERANCE * max(model.size))
        figures[name]["psnr"] = float(mean(seen.psnr))
    return figures
