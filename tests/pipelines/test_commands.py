"""Every command from its words to its files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.checkpoint import load_training_state
from pipelines.schedule import Budget
from pipelines.train import STAGE1_SHARE
from tests.data.files import cut
from tests.pipelines.commands import (
    FEATURES,
    PARTICLES,
    SIDE,
    STAGE1,
    STAGE2,
    Trained,
    arrays,
    clips,
    film_facts,
    particlecast,
    process,
    refused,
    ticking,
)

CONTEXT, HORIZON = 8, 6
LENGTHS = ["--context", f"{CONTEXT}", "--horizon", f"{HORIZON}"]
NAMES = [f"billiards_{index:05d}" for index in range(6)]


def test_rollout_writes_what_it_promises(tiny: Trained, tmp_path: Path) -> None:
    particlecast("rollout", *tiny.on(), *LENGTHS, "--out", tmp_path / "out")
    endings = (".mp4", ".npz", "_compare.mp4")
    expected = sorted(name + ending for name in NAMES for ending in endings)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == expected
    rate = film_facts(tiny.data / "billiards_00000.mp4")[3]
    for name in NAMES:
        found = arrays(tmp_path / "out" / f"{name}.npz")
        assert {key: (value.shape, value.dtype.kind) for key, value in found.items()} == {
            "frames": ((HORIZON, SIDE, SIDE, 3), "u"),
            "position": ((HORIZON, PARTICLES, 2), "f"),
            "transparency": ((HORIZON, PARTICLES), "f"),
            "appearance": ((HORIZON, PARTICLES, FEATURES), "f"),
            "identity": ((HORIZON, PARTICLES), "i"),
        }
        assert found["frames"].dtype == np.uint8
        assert all(np.isfinite(value).all() for value in found.values())
        assert 0 <= found["transparency"].min() <= found["transparency"].max() <= 1
        film = film_facts(tmp_path / "out" / f"{name}.mp4")
        assert film == ("h264", "yuv420p", HORIZON, rate)
        film = film_facts(tmp_path / "out" / f"{name}_compare.mp4")
        assert film == ("h264", "yuv420p", CONTEXT + HORIZON, rate)


def test_a_run_forecasts_more_things_than_it_was_trained_on(tiny: Trained, tmp_path: Path) -> None:
    crowd = f"synthetic:billiards,videos=3,frames=14,size={SIDE},objects=9"
    where = ("--data", crowd, "--run", tiny.run, *LENGTHS, "--particles", 2 * PARTICLES)
    particlecast("rollout", *where, "--out", tmp_path / "out")
    found = [arrays(path) for path in sorted((tmp_path / "out").glob("*.npz"))]
    assert len(found) == 1
    assert found[0]["position"].shape == (HORIZON, 2 * PARTICLES, 2)
    particlecast("evaluate", *where, "--out", tmp_path / "report")
    assert (tmp_path / "report" / "report.md").is_file()


def test_no_more_particles_than_patches_that_propose_them(
    tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = (*tiny.on(), *LENGTHS, "--out", tmp_path / "out", "--particles")
    assert "have 16 patches" in refused(capsys, "rollout", *where, 17)
    particlecast("rollout", *where, 16)


def test_rollout_in_a_process_of_its_own_takes_the_first_videos_by_name(
    tiny: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = process("rollout", *tiny.on(), *LENGTHS, "--out", out, "--limit", 2)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == f"2 forecasts are in {out}\n"
    assert sorted(path.stem for path in out.glob("*.npz")) == NAMES[:2]
    here = tmp_path / "here"
    particlecast("rollout", *tiny.on(), *LENGTHS, "--out", here, "--limit", 2)
    for name in NAMES[:2]:
        one, two = arrays(out / f"{name}.npz"), arrays(here / f"{name}.npz")
        assert all(np.array_equal(one[key], two[key]) for key in one)


def test_rollout_from_a_later_frame_and_beyond_the_end(tiny: Trained, tmp_path: Path) -> None:
    frames = clips(tmp_path / "a.npy", 1)
    (tmp_path / "late").mkdir()
    np.save(tmp_path / "late" / "a.npy", frames[:, 16:])
    late = ("--out", tmp_path / "out1", "--start", 16)
    particlecast("rollout", *tiny.on(tmp_path / "a.npy"), *LENGTHS, *late)
    cut_off = ("--out", tmp_path / "out2")
    particlecast("rollout", *tiny.on(tmp_path / "late" / "a.npy"), *LENGTHS, *cut_off)
    one, two = arrays(tmp_path / "out1" / "a.npz"), arrays(tmp_path / "out2" / "a.npz")
    assert all(np.array_equal(one[key], two[key]) for key in one)
    assert film_facts(tmp_path / "out1" / "a_compare.mp4")[2] == CONTEXT + HORIZON


def test_a_bad_file_among_good_ones_is_left_out_and_named(
    tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES[:2]:
        shutil.copy(tiny.data / f"{name}.mp4", tmp_path)
    cut(tmp_path / f"{NAMES[0]}.mp4", 0.5)
    capsys.readouterr()
    particlecast("rollout", *tiny.on(tmp_path), *LENGTHS, "--out", tmp_path / "out")
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"left out: video cut short: {tmp_path / NAMES[0]}.mp4")
    assert said[1:] == [f"1 forecasts are in {tmp_path / 'out'}"]
    assert [path.stem for path in (tmp_path / "out").glob("*.npz")] == [NAMES[1]]


def test_evaluate_writes_a_report_and_films(own: Trained, tmp_path: Path) -> None:
    particlecast("evaluate", *own.on(), *LENGTHS, "--out", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    page = (tmp_path / "out" / "report.md").read_text()
    own_velocity = "own constant velocity"
    pixels = {"model", "copy-last", "median background", "optical flow", own_velocity}
    positions = {"model", "copy-last", own_velocity, "true constant velocity"}
    for figure, methods in {"psnr": pixels, "ssim": pixels, "position_error": positions}.items():
        curves = report["per_step"][figure]["methods"]
        assert curves.keys() == methods
        for name, curve in curves.items():
            assert len(curve["per_step"]["mean"]) == HORIZON
            assert name == "model" or name in page
    # Of six videos one is held out by the tool's own split: it alone is judged.
    films = list((tmp_path / "out" / "films").iterdir())
    assert len(films) == 1
    assert film_facts(films[0])[:3] == ("h264", "yuv420p", CONTEXT + HORIZON)
    assert (
        f"evaluate/psnr/{own_velocity}"
        in logged(own.run / "tensorboard" / "evaluate" / "out").Tags()["scalars"]
    )
    for png in ("psnr", "ssim", "psnr_moving", "position_error"):
        assert (tmp_path / "out" / f"horizon_{png}.png").stat().st_size > 1000
    log = logged(own.run / "tensorboard" / "evaluate" / "out")
    steps = [event.step for event in log.Scalars("evaluate/psnr/model")]
    assert steps == list(range(1, HORIZON + 1))


def test_evaluate_of_a_source_that_was_not_trained_on_takes_what_is_asked_for(
    own: Trained, tmp_path: Path
) -> None:
    particlecast("make-data", "billiards", tmp_path / "b", "--videos", 2, "--size", SIDE)
    words = ("--out", tmp_path / "out", "--limit", 1)
    particlecast("evaluate", *own.on(tmp_path / "b"), *LENGTHS, *words)
    assert len(list((tmp_path / "out" / "films").iterdir())) == 1


def logged(folder: Path) -> EventAccumulator:
    """What TensorBoard reads from a folder."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_tensorboard_holds_curves_pictures_vectors_and_settings(tiny: Trained) -> None:
    wanted = {
        "stage1": {"psnr", "coverage", "live"},
        "stage2": {"position_error", "constant_velocity", "copy_last"},
    }
    for stage, scores in wanted.items():
        log = logged(tiny.run / "tensorboard" / stage)
        scalars = set(log.Tags()["scalars"])
        assert {f"{stage}/validation/{name}" for name in scores} <= scalars
        train = {"total", "learning_rate", "gradient_norm", "images_per_second"}
        assert {f"{stage}/train/{name}" for name in train} <= scalars
        assert "_hparams_/session_start_info" in log.summary_metadata
    images = logged(tiny.run / "tensorboard" / "stage1").Tags()["images"]
    assert any("panel" in tag for tag in images)
    tags = ("stage2/error against horizon", "stage2/rollout")
    log = logged(tiny.run / "tensorboard" / "stage2")
    assert set(tags) <= set(log.Tags()["images"])
    assert log.Images("stage2/rollout")[0].encoded_image_string[:4] == b"GIF8"
    projector = tiny.run / "tensorboard" / "stage1" / "projector_config.pbtxt"
    for line in projector.read_text().splitlines():
        if "_path" in line:
            assert (projector.parent / line.split('"')[1]).stat().st_size > 0
    assert "sprite" in projector.read_text()


def test_train_shares_its_minutes_between_both_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Budget, "elapsed", ticking)
    clips(tmp_path / "clips.npy", 4)
    run = tmp_path / "run"
    words = (*STAGE1, *STAGE2, "--max-minutes", 4)
    particlecast("train", "--data", tmp_path / "clips.npy", "--run", run, *words)
    spent = [
        load_training_state(run / stage / "checkpoints" / "last")["elapsed"]
        for stage in ("stage1", "stage2")
    ]
    assert spent[0] == pytest.approx(60 * 4 * STAGE1_SHARE, abs=10)
    assert sum(spent) <= 60 * 4 + 20  # the encoding between them counts, and it takes moments
    assert sum(spent) >= 60 * 4 - 60
    particlecast("rollout", "--data", tmp_path / "clips.npy", "--run", run, *LENGTHS, "--out", run)
    assert sorted(path.stem for path in run.glob("*.npz")) == [f"clips_{i:05d}" for i in range(4)]
