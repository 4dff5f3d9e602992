from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data.errors import UserError
from dlp import decoder, encoder, glimpse, model
from dlp.backdrop import shift_of
from dlp.config import DLPConfig
from dlp.reference import full_canvas
from pipelines import bench, bench_measure
from pipelines.bench import PIXELS, SIZES, Case, child
from pipelines.bench_measure import Traffic
from pipelines.bench_page import draw_growth, slope, write_results
from pipelines.config import load_preset
from pipelines.marks import BEGIN, END
from tests.pipelines.commands import particlecast, refused

SILENT = 0.01  # seconds


def quiet(doing: str, share: float) -> None:
    """No bar."""


def here(task: str, **options: Any) -> dict[str, Any]:
    """A task without a process of its own: imports take seconds."""
    said = io.StringIO()
    with redirect_stdout(said):
        bench_measure.main(json.dumps({"task": task, **options}))
    return json.loads(said.getvalue())


def made(task: str, case: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Made figures: training takes 1 ms a particle (naive: 2), and grows with the pixels."""
    if task == "machine":
        numbers = {"cores": 2, "threads": 1, "gflops": 100.0, "gbytes": 10.0}
        numbers |= {"bfloat16": True, "trained_gflops": 200.0}
        return {"machine": "abacus", "python": "3.11", "torch": "2.13", **numbers}
    operator = {"name": "aten::mm", "milliseconds": 12.0, "share": 0.6, "calls": 3.0}
    if task == "dynamics":
        sizes = {"batch": 32, "unroll": 8, "videos": 8, "particles": 12, "live": 5, "size": 64}
        training = [{"live": live, "steps": 60 / live, "operators": [operator]} for live in (5, 12)]
        return {"training": training, "forecast": 700.0, **sizes}
    if task == "landmarks":
        return {"train": 60.0, "encode": 200.0, "peak": 500.0, "imports": 200.0}
    assert case is not None
    if task == "cost":
        full = {"rate": 40.0, "ratio": 1.25}
        work = {"seconds": 0.02, "flops": 1e9, "bytes": 5e7, "operators": [operator]}
        return {**work, "float32": full}
    if task == "memory":
        return {"peak": 700.0 if options["naive"] else 300.0, "imports": 200.0}
    rate = 1e3 / case["particles"] * (64 / case["size"]) ** 2
    speed = {"fast": rate}
    if options["naive"]:
        speed |= {"naive": rate / 2, "ratio": 2.0}
    return dict.fromkeys(("train", "encode", "decode"), speed)


def table_row(page: str, *cells: object) -> list[str]:
    """The first row of a table on a page that begins with these cells."""
    start = "| " + " | ".join(map(str, cells)) + " |"
    line = next(line for line in page.splitlines() if line.startswith(start))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_cases_are_sized_as_the_presets_and_fit_the_model() -> None:
    preset = load_preset("traffic")["dlp"]
    assert (Case(128, 15, 8).patch, Case(128, 15, 8).glimpse) == (
        preset["patch"],
        preset["glimpse"],
    )
    assert (Case(64, 10, 8).patch, Case(64, 10, 8).glimpse) == (
        DLPConfig().patch,
        DLPConfig().glimpse,
    )
    for size in {*SIZES, *PIXELS}:
        case = Case(size, 3, 1)
        training = bench_measure.Training(case)
        before = [x.clone() for x in training.model.parameters()]
        training.step()
        after = training.model.parameters()
        assert any(not torch.equal(x, y) for x, y in zip(before, after, strict=True))
        training.narrow = True
        with training.full():
            assert not training.narrow
        assert training.narrow


def test_a_quick_run_measures_everything_and_keeps_what_was_written_by_hand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "child", here)
    out = tmp_path / "new" / "benchmarks"
    particlecast("bench", "--quick", "--seconds", SILENT, "--out", out)
    page = out / "README.md"
    page.write_text("By hand.\n" + page.read_text() + "\nBy hand, too.\n")
    particlecast("bench", "--quick", "--seconds", SILENT, "--out", out)
    text = page.read_text()
    assert text.startswith("By hand.\n# Speed")
    assert text.endswith(f"{END}\n\nBy hand, too.\n")
    assert text.count("### Images a second") == text.count(BEGIN) == text.count(END) == 1

    results = json.loads((out / "bench.json").read_text())
    assert results["machine"]["threads"] == torch.get_num_threads()
    assert f"torch {torch.__version__}" in text
    (case,) = results["cases"]
    assert {key: case[key] for key in ("size", "particles", "batch")} == asdict(Case(64, 10, 8))
    for task in ("train", "encode", "decode"):
        assert all(case[task][way] > 0 for way in ("fast", "naive", "ratio"))
    assert case["memory"]["naive"]["peak"] >= case["memory"]["naive"]["imports"] > 50
    (cost,) = results["cost"]
    assert min(cost["flops"], cost["bytes"], cost["seconds"]) > 0
    shares = [operator["share"] for operator in cost["operators"]]
    assert len(shares) == 12
    assert shares == sorted(shares, reverse=True)
    assert [row["live"] for row in results["dynamics"]["training"]] == [5, 12]
    assert all(row["steps"] > 0 for row in results["dynamics"]["training"])
    assert results["dynamics"]["forecast"] > 0
    assert [row["model"] for row in results["landmarks"]] == ["masked", "keynet", "zhang"]
    assert all(min(row["train"], row["encode"], row["peak"]) > 0 for row in results["landmarks"])
    assert "### Landmark models" in text
    assert 0 < sum(shares) <= 1
    # Nothing naive stays behind.
    assert encoder.crop is model.crop is glimpse.crop
    assert decoder.composite.__module__ == "dlp.decoder"


def test_the_full_table_compares_growth_and_leaves_out_what_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "child", made)
    monkeypatch.setattr(bench, "free_bytes", lambda: Case(128, 30, 32).naive_bytes + 1)
    results = bench.measure(1.0, False, quiet)
    assert len(results["cases"]) == 16
    assert [case["size"] for case in results["pixels"]] == list(PIXELS)
    left_out = [case for case in results["cases"] if "not_run" in case]
    assert [(x["size"], x["particles"], x["batch"]) for x in left_out] == [(128, 60, 32)]

    write_results(tmp_path, results)
    page = (tmp_path / "README.md").read_text()
    assert table_row(page, 64, 8, 10)[3:6] == ["**100**", "50", "2.00"]
    assert table_row(page, 128, 32, 60, "**4.17**")[4].startswith("not run: needs ")
    memory = page.split("### Peak memory")[1]
    assert table_row(memory, 64, 8, 10)[3:] == ["**300**", "100", "700", "500", "5.00"]
    limits = table_row(page, "64 px, K 10, batch 32")
    assert limits[1:] == ["20.0", "1.00", "5.0", "25%", "0.05", "5.0", "25%", "40", "1.25"]
    with Image.open(tmp_path / "growth.png") as image:
        assert image.format == "PNG"


def test_growth_is_drawn_with_the_fitted_exponents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "child", made)
    results = bench.measure(1.0, False, quiet)
    words: list[str] = []
    monkeypatch.setattr(
        "matplotlib.axes.Axes.legend",
        lambda axes, **_: words.extend(line.get_label() for line in axes.lines),
    )
    draw_growth(results)
    assert "64 px, ours: time ~ x^1.00" in words
    assert "128 px, naive: time ~ x^1.00" in words
    assert "K 10, ours: time ~ x^1.00" in words
    x = np.array([1.0, 2.0, 5.0])
    assert slope(x, 7 * x**1.5) == pytest.approx(1.5)


def test_the_naive_way_takes_turns_and_the_first_round_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way: list[str] = []
    clock = iter([9.0, 9.0, *[0.1, 0.4] * 3])

    def measured(work: Any) -> float:
        way.append("fast" if encoder.crop is glimpse.crop else "naive")
        return next(clock)

    monkeypatch.setattr(bench_measure, "timed", measured)
    found = bench_measure.alternate(lambda: None, 8, 0.0, full_canvas)
    assert way == ["fast", "naive"] * 4
    assert found == pytest.approx({"fast": 80.0, "naive": 20.0, "ratio": 4.0})


def test_frames_are_of_a_still_camera() -> None:
    image = bench_measure.still_camera(Case(64, 3, 9))
    assert image.shape == (9, 3, 64, 64)
    still = image.median(0).values
    moving = (image != still).any(1).float().mean((1, 2))
    assert (moving > 0.03).all()
    assert (moving < 0.09).all()
    assert not shift_of(still.expand_as(image), image).any()


def test_traffic_is_what_operators_read_and_write() -> None:
    one, other = torch.rand(100), torch.rand(100)
    with Traffic() as traffic:
        one + other
    assert traffic.bytes == 3 * 400
    with Traffic() as traffic:
        one.view(10, 10).T[:, None]
    assert traffic.bytes == 0
    with Traffic() as traffic:
        one.mul_(2)
    assert traffic.bytes == 2 * 400
    with Traffic() as traffic:
        torch._foreach_mul_([one, other], 2.0)
    assert traffic.bytes == 4 * 400
    with Traffic() as traffic:
        one[:1].clone().expand(100) + other
    assert traffic.bytes <= 400 + 4 + 3 * 400


def test_a_task_runs_in_a_process_of_its_own_whatever_lies_where_the_user_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "__init__.py").write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    found = child("memory", seconds=SILENT, case=asdict(Case(32, 2, 1)), naive=False)
    assert found["peak"] > found["imports"] > 0  # nor do this process's own megabytes count


def test_a_task_that_is_killed_for_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended:
        returncode, stdout, stderr = -9, "", ""

    monkeypatch.setattr("subprocess.run", lambda *_, **__: Ended)
    with pytest.raises(UserError, match="out of memory"):
        child("memory", case=asdict(Case(64, 10, 8)))
    Ended.returncode, Ended.stderr = 1, "KeyError: 'naive'"
    with pytest.raises(RuntimeError, match="KeyError: 'naive'"):
        child("memory", case=asdict(Case(64, 10, 8)))


@pytest.mark.parametrize("seconds", ["0", "-1", ".nan", ".inf", "soon"])
def test_seconds_that_are_none_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, seconds: str
) -> None:
    assert "--seconds" in refused(capsys, "bench", "--seconds", seconds, "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_an_unfit_folder_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "measure", lambda *_: pytest.fail("measured"))
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "inside"):
        assert f"output folder {out}: " in refused(capsys, "bench", "--out", out)
    page = tmp_path / "README.md"
    for text in ("Mine.", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"):
        page.write_text(text)
        assert "has no place" in refused(capsys, "bench", "--out", tmp_path)
    page.write_bytes(b"\xff")
    assert "cannot be read" in refused(capsys, "bench", "--out", tmp_path)
