"""Measure identity: particles linked over time, against true tracks never trained on.

particlecast evaluate-tracking --data SOURCE --run DIR --out OUT
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import UserError
from data.videos import Truth
from dlp.particles import LIVE, Particles, to_pixels
from dynamics.model import GraphDynamics
from dynamics.motion import LearnedMotion
from dynamics.tracks import Tracks, encode_code, track
from pipelines.checkpoint import checkpoint_root, list_checkpoints
from pipelines.draw import plot_curves
from pipelines.encode import encode_frames
from pipelines.film import png_bytes, write_whole
from pipelines.folders import make_folder
from pipelines.load import check_size, held_out, load_dlp, load_dynamics, open_data
from pipelines.metrics import TOLERANCE
from pipelines.probes import owners
from pipelines.progress import reporting
from pipelines.provenance import STAGES, machine, trained
from pipelines.results import jsonable
from pipelines.tracking import crowd, follow_tracks, hide, kept, summarise, track_owners

HIDDEN = (2, 5, 10, 15, 20)
"""Frames that an object is hidden for, in made cases."""
CASES = 4
"""Made cases of each length in each video."""
SPEEDS = (1, 2, 3, 4, 6, 8)
"""One frame of so many is kept, so that all is so many times as fast."""
CROWDS = (1, 2, 3, 4, 6)
"""So many videos' particles are laid over one another."""
FEWEST_FRAMES = 5
"""Frames that a video must keep to be linked."""

Linker = Callable[[Particles], Tracks]


def evaluate_tracking(
    data: str, run: Path, out: Path, limit: int = 0, particles: int = 0
) -> dict[str, Any]:
    """Write OUT/tracking.json, tracking.md and their plots; print the head of the table.

    Tracks are linked with a constant velocity as their expected motion and, if the run has a stage
    2, with that model's; each is measured.

    Args:
        limit: at most so many videos; 0: all.
        particles: K, if there may be more things than in training; 0: as trained.

    Returns:
        What tracking.json holds.

    Raises:
        UserError: the run or the source is unfit, or has no true tracks.
    """
    dlp = load_dlp(run, particles)
    has_dynamics = bool(list_checkpoints(checkpoint_root(run, "stage2")))
    linkers = make_linkers(load_dynamics(run, dlp) if has_dynamics else None, dlp.model.size)
    dataset = open_data(data, dlp.frames)
    check_size(dlp, dataset.whole, data)
    videos = held_out(dataset, dlp)[: limit or None]
    truths = [video.truth for video in videos if video.truth is not None]
    if len(truths) < len(videos):
        raise UserError(f"{data}: no true tracks to measure identity by: give a synthetic world")
    make_folder(out)
    with reporting() as progress:
        found = []
        for index, video in enumerate(videos):
            found.append(encode_frames(dlp.model, video.frames))
            progress("encoding frames into particles", (index + 1) / len(videos))
        result: dict[str, Any] = {}
        for index, (name, link) in enumerate(linkers.items()):
            result[name] = judge(link, found, truths, dlp.model.size)
            progress("linking", (index + 1) / len(linkers))
    meta = {
        "data": data,
        "run": str(run),
        "videos": len(videos),
        "particles": dlp.model.config.particles,
        **trained(run, STAGES if has_dynamics else STAGES[:1]),
        **machine(),
    }
    result = {"meta": meta, "linked by": result}
    for key, (title, along, at) in CURVES.items():
        curves = {name: np.array(one[key], float) for name, one in result["linked by"].items()}
        picture = plot_curves(curves, title=title, unit="1 is best", along=along, at=at)
        write_whole(out / f"{key}.png", png_bytes(picture))
    write_whole(out / "tracking.md", page(result).encode())
    text = json.dumps(jsonable(result), indent=1, allow_nan=False)
    write_whole(out / "tracking.json", text.encode())
    print("\n".join([*table(result), f"the page is {out / 'tracking.md'}"]), file=sys.stderr)
    return result


CURVES: dict[str, tuple[str, str, Sequence[float]]] = {
    "idf1_by_speed": ("IDF1 over speed", "times as fast", SPEEDS),
    "idf1_by_crowd": ("IDF1 over the number of objects", "videos laid over one another", CROWDS),
    "kept_by_hidden": ("Identity kept through occlusion", "frames hidden", HIDDEN),
}


def make_linkers(dynamics: GraphDynamics | None, size: tuple[int, int]) -> dict[str, Linker]:
    """The ways to link, by name."""
    linkers: dict[str, Linker] = {"constant velocity": lambda particles: track(particles, size)}
    if dynamics is not None:
        linkers["the dynamics model"] = lambda particles: track(
            particles, size, motion=LearnedMotion(dynamics, encode_code(particles))
        )
    return linkers


def judge(
    link: Linker, particles: Sequence[Particles], truths: Sequence[Truth], size: tuple[int, int]
) -> dict[str, Any]:
    """All figures of one way to link.

    Args:
        particles: of each video, [t, k, ...].
        truths: of the same frames.
        size: (h, w).

    Returns:
        "videos": name to figures, "all" among them; the keys of CURVES: [m] each, None where there
        was nothing to measure.
    """
    tolerance = TOLERANCE * max(size)

    def idf1(sets: Sequence[tuple[Particles, Truth]]) -> float | None:
        """Of all sets that are long enough, together."""
        long = [(one, truth) for one, truth in sets if len(one.position) >= FEWEST_FRAMES]
        if not long:
            return None
        followed = {
            str(i): follow_tracks(link(one), truth, size, tolerance)
            for i, (one, truth) in enumerate(long)
        }
        return summarise(followed)["all"]["idf1"]

    pairs = list(zip(particles, truths, strict=True))
    videos = {
        f"{i}": follow_tracks(link(one), truth, size, tolerance)
        for i, (one, truth) in enumerate(pairs)
    }
    return {
        "videos": summarise(videos),
        "idf1_by_speed": [
            idf1([(one[::skip], truth.at(slice(None, None, skip))) for one, truth in pairs])
            for skip in SPEEDS
        ],
        "idf1_by_crowd": [
            idf1(
                [
                    crowd([*particles[i : i + many]], [*truths[i : i + many]])
                    for i in range(0, len(pairs) - many + 1, many)
                ]
            )
            for many in CROWDS
        ],
        "kept_by_hidden": [_kept_share(link, pairs, size, tolerance, frames) for frames in HIDDEN],
    }


def _kept_share(
    link: Linker,
    pairs: Sequence[tuple[Particles, Truth]],
    size: tuple[int, int],
    tolerance: float,
    frames: int,
) -> float | None:
    """The share of made occlusions of so many frames through which identity was kept."""
    outcomes = []
    for index, (one, truth) in enumerate(pairs):
        position = to_pixels(one.position, *size).numpy()
        reach = np.maximum(tolerance, truth.radius)  # as `follow` has it
        owner = owners(position, one.transparency.numpy() > LIVE, truth, reach)
        rng = np.random.default_rng([index, frames])
        for _ in range(CASES):
            if (hidden := hide(one, owner, truth, frames, rng)) is not None:
                tracks = link(hidden.particles)
                outcomes.append(kept(hidden, tracks, track_owners(tracks, truth, size, reach)))
    return float(np.mean(outcomes)) if outcomes else None


def table(result: Mapping[str, Any]) -> list[str]:
    """The figures of all videos together, as a Markdown table."""
    lines = [
        "| linked by | IDF1 | MOTA | recall | precision | switches per 1,000 object-frames |"
        " kept through 10 hidden frames |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, one in result["linked by"].items():
        found = one["videos"]["all"]
        cells = [f"{found[key]:.3f}" for key in ("idf1", "mota", "recall", "precision")]
        share = kept_long(one)
        cells += [f"{found['switches_per_1000']:.2f}", "-" if share is None else f"{share:.3f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def kept_long(linked: Mapping[str, Any]) -> float | None:
    """The share of identities kept through 10 hidden frames; None if there was no such case."""
    share: float | None = linked["kept_by_hidden"][HIDDEN.index(10)]
    return share


def page(result: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        "# Identity",
        "",
        "Particles linked over time against the true tracks, all videos together. IDF1 is the "
        "share of sightings with the right identity over the whole video (Ristani et al., 2016); "
        "MOTA and switches follow CLEAR MOT (Bernardin and Stiefelhagen, 2008); both by "
        f"motmetrics. A track is on an object within {TOLERANCE:.0%} of the longer side or the "
        "object's radius.",
        "",
        *table(result),
        "",
        "Made cases: an object in view loses all its particles for some frames; identity is kept "
        "if the same track is on it again within 3 frames. Faster: frames are left out. Crowded: "
        "the particles of several videos are laid over one another.",
    ]
    for key, (title, along, at) in CURVES.items():
        lines += ["", f"## {title}", "", f"| {along} | " + " | ".join(f"{x:g}" for x in at) + " |"]
        lines.append("|---|" + "---:|" * len(at))
        for name, one in result["linked by"].items():
            cells = ["-" if x is None else f"{x:.3f}" for x in one[key]]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines += ["", f"![{title}]({key}.png)"]
    lines += ["", "## What was measured", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in result["meta"].items()]
    return "\n".join([*lines, ""])
