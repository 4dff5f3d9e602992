"""The trained runs that come with the package do what their cards say."""

import json
from pathlib import Path

import pytest

from data.errors import UserError
from pipelines.load import load_dlp, load_dynamics
from pipelines.pretrained import CARD, HOME, board_folder, find_run, keep, names
from tests.pipelines.commands import Trained, particlecast, refused, tree

LARGEST = 3 << 20
WORLDS = ("billiards", "clevrer", "traffic")


def test_the_three_moving_worlds_come_with_the_package() -> None:
    assert names() == list(WORLDS)


@pytest.mark.parametrize("world", WORLDS)
def test_each_is_small_and_whole_and_has_a_card(world: str) -> None:
    run = find_run(f"pretrained/{world}")
    files = [path for path in run.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST
    dlp = load_dlp(run)
    assert dlp.model.size == (64, 64)
    assert load_dynamics(run, dlp).config.history >= 2
    card = (run / CARD).read_text()
    assert f"synthetic:{world},size=64" in card
    assert "particlecast train-dlp" in card
    assert "Limits: " in card


@pytest.mark.parametrize("world", WORLDS)
def test_each_forecasts_better_than_the_last_frame_copied(world: str, tmp_path: Path) -> None:
    before = tree(HOME)
    words = (
        "--data",
        f"synthetic:{world},size=64,videos=10,frames=22,seed=1",
        "--run",
        f"pretrained/{world}",
    )
    lengths = ("--context", 10, "--horizon", 10, "--lpips", "none")
    particlecast("evaluate", *words, *lengths, "--out", tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    for figure in ("psnr_moving", "ssim"):
        methods = report["per_step"][figure]["methods"]
        ours, copied = (methods[m]["per_step"]["mean"] for m in ("model", "copy-last"))
        assert ours[4] > copied[4]
    assert report["particles"]["coverage of the context"]["mean"] > 0.9
    assert (tmp_path / "tensorboard" / "evaluate" / tmp_path.name).is_dir()
    assert tree(HOME) == before


def test_a_folder_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_run("pretrained/traffic") == HOME / "traffic"
    assert find_run("pretrained/traffic/") == HOME / "traffic"
    own = Path("pretrained/traffic")
    own.mkdir(parents=True)
    assert find_run("pretrained/traffic") == own
    assert find_run("runs/mine") == Path("runs/mine")


def test_one_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("--data", "synthetic:billiards", "--run", "pretrained/chess", "--out", tmp_path)
    said = refused(capsys, "evaluate-dlp", *words)
    assert "pretrained/chess: no such folder" in said
    assert "pretrained/traffic" in said


def test_a_path_does_not_climb_out() -> None:
    with pytest.raises(UserError, match="no pretrained run of that name"):
        find_run("pretrained/../presets")


def test_what_is_kept_of_a_run_forecasts_the_same(tiny: Trained, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    keep(tiny.run, kept, "# a card")
    keep(tiny.run, kept, "# another")
    assert (kept / CARD).read_text() == "# another"
    assert not list(tmp_path.glob(".*"))
    lengths = ("--context", 6, "--horizon", 4, "--limit", 1)
    for run, out in ((tiny.run, "a"), (kept, "b")):
        particlecast(
            "rollout", "--data", tiny.data, "--run", run, *lengths, "--out", tmp_path / out
        )
    arrays = [sorted((tmp_path / out).glob("*.npz"))[0].read_bytes() for out in ("a", "b")]
    assert arrays[0] == arrays[1]
    assert not list(kept.rglob("training_state*"))


def test_boards_stay_out_of_the_package(tmp_path: Path) -> None:
    assert board_folder(HOME / "traffic", tmp_path).is_relative_to(tmp_path)
    assert board_folder(tmp_path / "run", tmp_path / "out").is_relative_to(tmp_path / "run")
