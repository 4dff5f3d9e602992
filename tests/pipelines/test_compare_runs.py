import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.compare_runs import compared, write_comparison
from pipelines.figures import FIGURES
from pipelines.results import EvaluationResult, Scores
from tests.pipelines.commands import SIDE, Trained, particlecast, refused
from tests.pipelines.test_report import VIDEOS, outcome

PSNR = next(figure for figure in FIGURES if figure.key == "psnr")
NAMES = [f"v{i}" for i in range(VIDEOS)]


def made(level: float) -> EvaluationResult:
    """Videos of very different difficulty, each `level` better than in made(0)."""
    hard = np.linspace(0, 20, VIDEOS)[:, None]
    return outcome(names=NAMES, model=Scores(psnr=20 + hard + level + np.zeros((VIDEOS, 10))))


def test_mean_and_spread_are_those_of_the_runs() -> None:
    found = compared({"a": made(0), "b": made(1), "c": made(3.5)}, PSNR)
    assert found["mean"]["5"] == pytest.approx(30 + 1.5)  # type: ignore[index]
    assert found["spread"]["all"] == pytest.approx(np.std([0, 1, 3.5], ddof=1))  # type: ignore[index]


def test_the_paired_difference_sees_through_what_is_hard_for_both() -> None:
    found = compared({"a": made(0), "b": made(0.25)}, PSNR)
    pair = found["paired"]["b"]  # type: ignore[index]
    assert pair == pytest.approx({"mean": 0.25, "low": 0.25, "high": 0.25})


def test_a_figure_that_one_run_lacks_is_left_out(tmp_path: Path) -> None:
    psnr = np.full((VIDEOS, 10), 25.0)
    other = outcome(names=NAMES, model=Scores(psnr=psnr, ssim=psnr / 100))
    write_comparison(tmp_path, {"a": made(0), "b": other})
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert list(found) == ["psnr"]
    text = (tmp_path / "comparison.md").read_text()
    assert "| **mean ± spread** |" in text
    assert "SSIM" not in text


def test_evaluate_compares_several_runs(own: Trained, tiny: Trained, tmp_path: Path) -> None:
    world = f"synthetic:billiards,videos=30,frames=12,size={SIDE}"
    words = ("--data", world, "--context", 8, "--horizon", 4, "--out", tmp_path / "out")
    particlecast("evaluate", *words, "--run", own.run, "--run", tiny.run)
    names = {f"1_{own.run.name}", f"2_{tiny.run.name}"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names | {
        "comparison.md",
        "comparison.json",
    }
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())["psnr"]
    assert found["paired"][f"2_{tiny.run.name}"]["mean"] == 0  # the same weights


def test_a_run_that_is_named_twice(
    tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*tiny.on(), "--run", tiny.run, "--context", 8, "--horizon", 4, "--out", tmp_path)
    assert "named twice" in refused(capsys, "evaluate", *words)
