"""Uncertainty put to use: drop what is not sure, box what stays, and see what that costs.

particlecast detect --data SOURCE --run DIR --out OUT --filter-confidence 0.9
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data.errors import UserError
from data.videos import Truth, Video
from dlp.build import ParticleModel
from dlp.particles import LIVE, to_pixels
from pipelines.boards import fresh_board
from pipelines.draw import plot_curves
from pipelines.encode import encode_frames
from pipelines.film import write_whole
from pipelines.folders import make_folder
from pipelines.load import check_size, held_out, load_dlp, open_data
from pipelines.metrics import TOLERANCE, coverage, precision
from pipelines.pretrained import board_folder
from pipelines.results import jsonable, mean
from pipelines.train_dlp import boxes

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class Found:
    """The particles of one video's t frames.

    Args:
        position: [t, k, 2] pixels.
        alive: [t, k] transparency.
        sigma: [t, k] geometric mean over x and y, in [-1, 1] coordinates; small is sure.
        box: [t, k, 4] left, top, right, bottom in pixels.
    """

    position: np.ndarray
    alive: np.ndarray
    sigma: np.ndarray
    box: np.ndarray

    def surer(self, sigma: float) -> np.ndarray:
        """Transparency [t, k], 0 for those less sure than `sigma`."""
        return np.where(self.sigma <= sigma, self.alive, 0)


def find(model: ParticleModel, video: Video) -> Found:
    """Encode a video."""
    particles = encode_frames(model, video.frames)
    return Found(
        to_pixels(particles.position, *model.size).numpy(),
        particles.transparency.numpy(),
        (particles.log_variance.mean(-1) / 2).exp().numpy(),
        boxes(particles, model.config.glimpse, model.size).numpy(),
    )


def limit_of(found: list[Found], share: float) -> float:
    """The sigma that this share of all live particles is surer than."""
    live = np.concatenate([one.sigma[one.alive > LIVE] for one in found])
    return float(np.quantile(live, share)) if len(live) else float("inf")


def suppress(box: np.ndarray, sigma: np.ndarray, overlap: float) -> np.ndarray:
    """Non-maximum suppression of one frame's boxes, the surest first.

    Args:
        box: [m, 4] left, top, right, bottom.
        sigma: [m], less is surer.
        overlap: of two boxes with a greater intersection over union, the surer one stays.

    Returns:
        Indices of those that stay.
    """
    if not len(box):
        return np.zeros(0, int)
    corner_and_size = np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], 1).astype(float)
    kept = cv2.dnn.NMSBoxes(corner_and_size.tolist(), (1 / sigma).tolist(), 0.0, overlap)
    return np.sort(np.asarray(kept, int).flatten())


def detect(
    data: str, run: Path, out: Path, limit: int = 0, keep: float = 1.0, overlap: float = 0.5
) -> dict[str, Any]:
    """Write OUT/boxes.json and OUT/confidence.json, and the curve to TensorBoard.

    Args:
        limit: at most so many videos; 0: all.
        keep: share of the live particles that stay, in (0, 1].
        overlap: for the suppression of boxes, in (0, 1].

    Returns:
        What confidence.json holds.

    Raises:
        UserError: the run or the source is unfit, or a share is out of range.
    """
    for name, value in (("filter-confidence", keep), ("overlap", overlap)):
        if not 0 < value <= 1:
            raise UserError(f"--{name} must be above 0 and at most 1, found {value}")
    dlp = load_dlp(run)
    dataset = open_data(data, dlp.frames)
    check_size(dlp, dataset.whole, data)
    videos = held_out(dataset, dlp)[: limit or None]
    make_folder(out)
    found = [find(dlp.model, video) for video in videos]
    sigma = limit_of(found, keep)
    listed = {
        video.name: listing(one, sigma, overlap) for video, one in zip(videos, found, strict=True)
    }
    write_whole(out / "boxes.json", json.dumps(listed).encode())
    truths = [video.truth for video in videos]
    result: dict[str, Any] = {
        "data": data,
        "run": str(run),
        "kept": keep,
        "sigma": sigma,
        "overlap": overlap,
        "boxes": sum(len(frame) for frames in listed.values() for frame in frames),
        "curve": threshold_curve(found, truths, TOLERANCE * max(dlp.model.size)),
    }
    write_whole(out / "confidence.json", json.dumps(jsonable(result), indent=1).encode())
    if result["curve"]["share"]:
        board = fresh_board(board_folder(run, out) / "confidence")
        lines = {name: np.array(result["curve"][name]) for name in ("recall", "precision")}
        title = "over the share of particles kept, the surest first"
        share = result["curve"]["share"]
        board.images(
            "confidence", plot_curves(lines, title=title, unit="", along="share", at=share), 0
        )
        board.close()
    print(f"{result['boxes']} boxes in {out / 'boxes.json'}", file=sys.stderr)
    return result


def listing(found: Found, sigma: float, overlap: float) -> list[list[dict[str, Any]]]:
    """Each frame's boxes, with the particle's row and its sigma."""
    frames = []
    for box, deviation, alive in zip(found.box, found.sigma, found.surer(sigma), strict=True):
        rows = np.flatnonzero(alive > LIVE)
        rows = rows[suppress(box[rows], deviation[rows], overlap)]
        frames.append(
            [
                {
                    "particle": int(row),
                    "sigma": round(float(deviation[row]), 5),
                    "box": np.round(box[row], 2).tolist(),
                }
                for row in rows
            ]
        )
    return frames


def threshold_curve(
    found: list[Found], truths: list[Truth | None], tolerance: float
) -> dict[str, list[float]]:
    """Recall and precision of objects or landmarks, over the share of particles kept.

    Args:
        truths: of the same videos; those without are passed over.
        tolerance: pixels.
    """
    rows: dict[str, list[float]] = {name: [] for name in ("share", "sigma", "recall", "precision")}
    known = [(one, truth) for one, truth in zip(found, truths, strict=True) if truth is not None]
    for share in SHARES if known else ():
        sigma = limit_of([one for one, _ in known], share)
        figures = np.array(
            [
                [
                    measure(one.position, one.surer(sigma), truth, tolerance)
                    for measure in (coverage, precision)
                ]
                for one, truth in known
            ]
        )
        recalled, right = mean(figures).tolist()
        for name, value in zip(rows, (share, sigma, recalled, right), strict=True):
            rows[name].append(value)
    return rows
