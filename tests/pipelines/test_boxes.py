"""A source with true boxes alone, or masks alone, is measured as one with tracks is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.pipelines.commands import Trained, arrays, particlecast


def only(kind: str, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same truth, as boxes or masks alone."""
    if kind == "mask":
        return {"mask": found["mask"]}
    place, reach = found["position"] + 0.5, found["radius"][..., None]
    box = np.concatenate([place - reach, place + reach], -1)
    return {"box": np.where(found["visible"][..., None], box, np.nan)}


def measured(tiny: Trained, data: Path, out: Path) -> list[float]:
    """What evaluate and evaluate-tracking say of one video that needs its truth."""
    words = ("--context", 8, "--horizon", 4, "--limit", 1, "--lpips", "none")
    particlecast("evaluate", *tiny.on(data), *words, "--out", out)
    particlecast("evaluate-tracking", *tiny.on(data), "--limit", 1, "--out", out)
    curves = json.loads((out / "report.json").read_text())["per_step"]
    linked = json.loads((out / "tracking.json").read_text())["linked by"]
    found = [curves[name]["methods"]["model"] for name in ("coverage", "precision")]
    return [
        *(one["overall"]["mean"] for one in found),
        *(one["videos"]["all"]["idf1"] for one in linked.values()),
    ]


def test_it_is_measured_as_with_tracks(tiny: Trained, tmp_path: Path) -> None:
    expected = measured(tiny, tiny.data, tmp_path / "tracks")
    assert 0 < expected[0] <= 1
    for kind, tolerance in (("box", 1e-6), ("mask", 0.1)):  # of masks, only what is seen is known
        data = shutil.copytree(tiny.data, tmp_path / kind / "clips")
        for path in data.glob("*.tracks.npz"):
            np.savez(path, allow_pickle=False, **only(kind, arrays(path)))
        found = measured(tiny, data, tmp_path / f"of {kind}")
        assert found == pytest.approx(expected, abs=tolerance)
