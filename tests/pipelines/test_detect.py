"""Uncertainty put to use: boxes, suppression, and the curve over the threshold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from data.videos import Truth
from pipelines.detect import SHARES, Found, limit_of, listing, suppress, threshold_curve
from tests.pipelines.commands import Trained, particlecast, refused


def square(x: float, y: float, half: float = 4.0) -> list[float]:
    return [x - half, y - half, x + half, y + half]


def found() -> Found:
    """Two frames: a sure particle on the object, a surer twin beside it, an unsure one elsewhere,
    and one that is not in use."""
    places = np.array([[10.0, 10], [11, 10], [40, 40], [20, 20]])
    box = np.array([square(*place) for place in places])
    sigma = np.array([0.02, 0.01, 0.5, 0.001])
    alive = np.array([1.0, 1, 1, 0])
    return Found(*(np.stack([part] * 2) for part in (places, alive, sigma, box)))


def test_of_boxes_that_overlap_the_surest_stays() -> None:
    box = np.array([square(10, 10), square(11, 10), square(40, 40)])
    sigma = np.array([0.02, 0.01, 0.5])
    # 7 x 8 of 9 x 8 pixels in common: 0.78.
    assert suppress(box, sigma, 0.5).tolist() == [1, 2]
    assert suppress(box, sigma, 0.8).tolist() == [0, 1, 2]
    assert suppress(box[:0], sigma[:0], 0.5).tolist() == []


def test_what_is_not_sure_is_dropped_before_boxes_are_pruned() -> None:
    one = found()
    assert limit_of([one], 1.0) == 0.5
    rows = [[item["particle"] for item in frame] for frame in listing(one, 0.5, 0.5)]
    assert rows == [[1, 2], [1, 2]]
    rows = [[item["particle"] for item in frame] for frame in listing(one, 0.1, 0.9)]
    assert rows == [[0, 1], [0, 1]]
    assert listing(one, 0.1, 0.5)[0][0]["box"] == square(11, 10)


def test_recall_and_precision_over_the_threshold_known_answer() -> None:
    truth = Truth(
        np.array([[[10.0, 10], [60, 60]]] * 2), np.ones((2, 2), bool), np.full((2, 2), 2.0)
    )
    curve = threshold_curve([found()], [truth], tolerance=3.0)
    assert curve["share"] == list(SHARES)
    assert curve["recall"][-1] == 0.5
    assert curve["precision"][-1] == pytest.approx(2 / 3)
    # Of six live particles four are on the object: sure ones alone are all right.
    assert curve["precision"][SHARES.index(0.5)] == 1
    assert threshold_curve([found()], [None], 3.0)["share"] == []


def test_the_command_writes_boxes_and_the_curve(own: Trained, tmp_path: Path) -> None:
    words = ["--limit", "2", "--filter-confidence", "0.5"]
    particlecast("detect", *own.on(), "--out", tmp_path, *words)
    result = json.loads((tmp_path / "confidence.json").read_text())
    listed = json.loads((tmp_path / "boxes.json").read_text())
    assert result["boxes"] == sum(len(frame) for video in listed.values() for frame in video)
    assert len(result["curve"]["recall"]) == len(SHARES)
    whole = tmp_path / "whole"
    particlecast("detect", *own.on(), "--out", whole, "--limit", "2", "--overlap", "1")
    assert json.loads((whole / "confidence.json").read_text())["boxes"] > result["boxes"]


def test_a_share_out_of_range_is_told(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["detect", *own.on(), "--out", tmp_path, "--overlap", "2"]
    assert "--overlap must be above 0 and at most 1, found 2.0" in refused(capsys, *words)
