import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.compare_runs import Made, compared, compared_once, same, write_comparison
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
    assert list(found["figures"]) == ["psnr"]
    assert list(found["runs"]) == ["a", "b"]
    assert (tmp_path / "comparison_psnr.png").exists()
    assert not (tmp_path / "comparison_ssim.png").exists()
    text = (tmp_path / "comparison.md").read_text()
    assert "| **mean ± spread** |" in text
    assert "SSIM" not in text
    assert "![PSNR against forecast step](comparison_psnr.png)" in text


def test_figures_that_a_video_has_once_are_compared_too() -> None:
    hard = np.linspace(0.2, 0.8, VIDEOS)
    a = outcome(particles={"IDF1": hard, "own": hard}, whole={"FVD": 10.0, "other": 1.0})
    b = outcome(particles={"IDF1": hard + 0.1}, whole={"FVD": 14.0})
    found = compared_once({"a": a, "b": b})
    assert list(found) == ["reconstruction_psnr", "IDF1", "FVD"]  # that both have
    assert found["IDF1"]["runs"] == pytest.approx({"a": 0.5, "b": 0.6})
    assert found["IDF1"]["mean"] == pytest.approx(0.55)
    assert found["IDF1"]["spread"] == pytest.approx(np.std([0.5, 0.6], ddof=1))
    pair = {"b": pytest.approx({"mean": 0.1, "low": 0.1, "high": 0.1})}
    assert found["IDF1"]["paired"] == pair
    assert found["FVD"] == {
        "runs": {"a": 10.0, "b": 14.0},
        "mean": 12.0,
        "spread": pytest.approx(np.sqrt(8)),
        "paired": {},
    }


def test_the_page_tells_what_the_runs_are_and_how_figures_are_measured(tmp_path: Path) -> None:
    meta = {"data": "synthetic:discs", "context": 10, "horizon": 10}
    a = replace(made(0), meta=meta, settings={"dlp.particles": 12, "dlp.features": 4})
    b = replace(made(1), meta=meta, settings={"dlp.particles": 20, "dlp.features": 4, "new": "a|b"})
    how = Made({"stage1.seed": 3, "stage1.steps": 900, "stage1.commit": "abc123"})
    write_comparison(tmp_path, {"a": a, "b": b}, {"a": how, "b": Made()})
    text = (tmp_path / "comparison.md").read_text()
    assert "| run | data | context | horizon | stage 1 seed | stage 1 steps |" in text
    assert "| a | synthetic:discs | 10 | 10 | 3 | 900 | abc123 | – | – | – |" in text
    assert "| b | synthetic:discs | 10 | 10 | – |" in text
    assert "| dlp.particles | 12 | 20 |" in text
    assert "| new | – | a/b |" in text
    assert "| dlp.features |" not in text
    assert "| coverage | 0.990 | 0.990 (+0.000 [+0.000, +0.000]) | 0.990 ± 0.000 |" in text
    assert "| jitter, px | – | – | – ± – |" in text
    with Image.open(tmp_path / "comparison_psnr.png") as image:
        assert image.size[0] > 400
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert found["runs"]["a"]["meta"] == meta
    assert found["runs"]["a"]["settings that differ"] == {"dlp.particles": 12, "new": None}
    assert found["particles"]["jitter, px"]["mean"] is None
    whole, _, ending = text.partition("## Conventions")
    assert "Warning" not in whole
    for title, words in found["conventions"].items():
        assert f"- {title}: {words}" in ending
    assert {"PSNR", "Reconstruction PSNR", "Jitter"} < set(found["conventions"])
    assert "SSIM" not in found["conventions"]  # no run has it


@pytest.mark.parametrize(
    ("seeds", "features", "weights", "why"),
    [
        ((0, 1), (4, 4), ("x", "y"), ""),
        ((0, 0), (4, 6), ("x", "y"), ""),
        ((None, None), (4, 4), ("x", "y"), ""),
        ((0, 0), (4, 4), ("x", "y"), "were trained with the same seed and the same settings"),
        ((0, 0), (4, 4), ("x", "x"), "hold the same weights"),
        ((0, 1), (4, 6), ("x", "x"), "hold the same weights"),
    ],
)
def test_runs_that_are_too_much_alike_are_told(
    seeds: tuple[int | None, int | None],
    features: tuple[int, int],
    weights: tuple[str, str],
    why: str,
) -> None:
    results = {
        name: replace(made(0), settings={"dlp.features": size})
        for name, size in zip("ab", features, strict=True)
    }
    how = {
        name: Made(
            {} if seed is None else {"stage1.seed": seed, "stage2.seed": seed},
            {"stage1": digest, "stage2": digest},
        )
        for name, seed, digest in zip("ab", seeds, weights, strict=True)
    }
    found = same(results, how)
    assert found == ([f"a and b {why}: the spread over the runs is not one of seeds."] * bool(why))


def test_runs_of_other_data_are_told() -> None:
    results = {
        name: replace(made(0), settings={"stage1.fingerprint": data, "stage2.fingerprint": data})
        for name, data in zip("abc", ("x", "y", "x"), strict=True)
    }
    found = same(results, {name: Made() for name in results})
    assert [sentence.split(":")[0] for sentence in found] == [
        "a and b were trained on different data",
        "b and c were trained on different data",
    ]


def test_runs_on_one_stage_1_are_told() -> None:
    results = {"a": made(0), "b": made(1), "c": made(2)}
    how = {
        "a": Made(weights={"stage1": "x", "stage2": "y"}),
        "b": Made(weights={"stage1": "x", "stage2": "z"}),
        "c": Made(weights={"stage1": "w", "stage2": "y"}),
    }
    (sentence,) = same(results, how)
    assert sentence.startswith("a and b stand on the same stage 1: ")


def test_evaluate_compares_several_runs(
    own: Trained, tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = f"synthetic:billiards,videos=30,frames=12,size={SIDE}"
    words = ("--data", world, "--context", 8, "--horizon", 4, "--out", tmp_path / "out")
    particlecast("evaluate", *words, "--run", own.run, "--run", tiny.run)
    first, second = f"1_{own.run.name}", f"2_{tiny.run.name}"
    out = {path.name for path in (tmp_path / "out").iterdir() if path.suffix != ".png"}
    assert out == {first, second, "comparison.md", "comparison.json"}
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert found["figures"]["psnr"]["paired"][second]["mean"] == 0  # the same weights
    assert found["particles"]["IDF1 of context and forecast"]["paired"][second]["mean"] == 0
    for run in found["runs"].values():
        assert (run["training"]["stage1.seed"], run["training"]["stage2.steps"]) == (0, 6)
        assert run["meta"]["data"] == world
        assert run["settings that differ"] == {}
    page = (tmp_path / "out" / "comparison.md").read_text()
    pictures = re.findall(r"\]\((\S+\.png)\)", page)
    assert len(pictures) == len(found["figures"])
    assert all((tmp_path / "out" / picture).exists() for picture in pictures)
    warning = f"{first} and {second} hold the same weights: "
    assert warning in page
    assert warning in capsys.readouterr().err


def test_a_run_that_is_named_twice(
    tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*tiny.on(), "--run", tiny.run, "--context", 8, "--horizon", 4, "--out", tmp_path)
    assert "named twice" in refused(capsys, "evaluate", *words)
