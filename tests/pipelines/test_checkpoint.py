from __future__ import annotations

import errno
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from data.errors import UserError
from pipelines.checkpoint import (
    checkpoint_root,
    find_checkpoint,
    list_checkpoints,
    load_config,
    load_model_weights,
    load_training_state,
    save_checkpoint,
)


def model(seed: int = 0, width: int = 4) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width))


def save(run: Path, step: int, seed: int = 0, **options: Any) -> Path:
    root = checkpoint_root(run, "stage1")
    state = {"step": step, "best": None, "optimizer": {0: {"exp_avg": torch.ones(2)}}}
    return save_checkpoint(root, step, model(seed), {"dlp": {"k": 3}}, state, **options)


def names(run: Path) -> list[str]:
    return sorted(path.name for path in checkpoint_root(run, "stage1").iterdir())


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    folder = save(tmp_path, 7)
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "training_state.pt",
    ]
    other = model(seed=1)
    load_model_weights(folder, other)
    torch.testing.assert_close(other.state_dict(), model().state_dict(), rtol=0, atol=0)
    assert load_config(folder) == {"dlp": {"k": 3}}
    state = load_training_state(folder)
    assert (state["step"], state["best"]) == (7, None)
    assert torch.equal(state["optimizer"][0]["exp_avg"], torch.ones(2))


def test_the_links_are_relative_and_survive_a_move_of_the_run(tmp_path: Path) -> None:
    save(tmp_path / "a", 1, best=True)
    save(tmp_path / "a", 2)
    (tmp_path / "a").rename(tmp_path / "b")
    root = checkpoint_root(tmp_path / "b", "stage1")
    assert (root / "last").resolve().name == "step_00000002"
    assert find_checkpoint(tmp_path / "b", "stage1", "best") == root / "step_00000001"
    assert find_checkpoint(tmp_path / "b", "stage1", "last") == root / "step_00000002"


def test_only_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in range(1, 7):
        save(tmp_path, step, keep=2, best=step == 2)
    kept = ["step_00000002", "step_00000005", "step_00000006"]
    assert names(tmp_path) == ["best", "last", *kept]


def test_a_step_that_is_saved_again_gets_the_new_state(tmp_path: Path) -> None:
    root = checkpoint_root(tmp_path, "stage1")
    for best in (None, 4.0):
        save_checkpoint(root, 3, model(), {}, {"best": best})
    assert load_training_state(root / "step_00000003") == {"best": 4.0}
    assert names(tmp_path) == ["last", "step_00000003"]


def test_a_run_without_the_stage_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no trained stage 1 in .*run `particlecast train-dlp "):
        find_checkpoint(tmp_path, "stage1")
    with pytest.raises(UserError, match=r"no trained stage 2 in .*`particlecast train-dynamics "):
        find_checkpoint(tmp_path / "none", "stage2")


def test_what_a_killed_save_left_is_no_checkpoint_and_is_swept(tmp_path: Path) -> None:
    save(tmp_path, 1)
    stray = checkpoint_root(tmp_path, "stage1") / ".step_00000002.partial"
    stray.mkdir()
    (stray / "config.json").write_text("{")
    assert find_checkpoint(tmp_path, "stage1", "last").name == "step_00000001"
    save(tmp_path, 2)
    assert names(tmp_path) == ["last", "step_00000001", "step_00000002"]


@pytest.mark.parametrize("at", range(6))
def test_a_full_disk_leaves_the_last_good_one_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    save(tmp_path, 1)
    flush, calls = os.fsync, iter(range(100))

    def full(descriptor: int) -> None:
        if next(calls) == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"No space left on device; the last good .*free some"):
        save(tmp_path, 2, seed=5)
    monkeypatch.undo()
    assert not [name for name in names(tmp_path) if name.endswith("partial")]
    for folder in list_checkpoints(checkpoint_root(tmp_path, "stage1")):
        load_model_weights(folder, model())
        load_training_state(folder)
    save(tmp_path, 2, seed=5)
    restored = model()
    load_model_weights(find_checkpoint(tmp_path, "stage1", "last"), restored)
    torch.testing.assert_close(restored.state_dict(), model(seed=5).state_dict(), rtol=0, atol=0)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "stage1").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot save the checkpoint of step 1"):
        save(tmp_path, 1)
    assert (tmp_path / "stage1").read_text().startswith("a file")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
@pytest.mark.parametrize("name", ["model.safetensors", "training_state.pt", "config.json"])
def test_a_file_cut_short_is_refused_in_one_line(tmp_path: Path, name: str, share: float) -> None:
    folder = save(tmp_path, 1)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    load = {
        "model.safetensors": lambda: load_model_weights(folder, model()),
        "training_state.pt": lambda: load_training_state(folder),
        "config.json": lambda: load_config(folder),
    }[name]
    with pytest.raises(UserError, match=f"{name} cannot be used") as error:
        load()
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = save(tmp_path, 1)
    for path in list(folder.iterdir()):
        path.unlink()
    for load in (load_config, load_training_state, lambda f: load_model_weights(f, model())):
        with pytest.raises(UserError, match="cannot be used"):
            load(folder)


def test_weights_of_other_shapes_or_names_are_refused_with_both(tmp_path: Path) -> None:
    folder = save(tmp_path, 1)
    with pytest.raises(UserError, match=r"0\.bias has shape \[4\], the model expects \[5\]"):
        load_model_weights(folder, model(width=5))
    with pytest.raises(UserError, match=r"0\.bias has shape \[4\], the model expects no such"):
        load_model_weights(folder, nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4)))
    with pytest.raises(UserError, match=r"2\.bias has shape none: it is missing"):
        load_model_weights(folder, model().append(nn.Linear(4, 1)))


@pytest.mark.parametrize("text", ["[]", "3", "null", '{"a": ', "\xff", "[" * 100_000])
def test_a_config_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    folder = save(tmp_path, 1)
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"config\.json cannot be used"):
        load_config(folder)


def test_a_huge_config_is_not_read(tmp_path: Path) -> None:
    folder = save(tmp_path, 1)
    with (folder / "config.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match="larger than"):
        load_config(folder)


def test_loading_runs_no_code(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "owned",))

    folder = save(tmp_path, 1)
    for write in (
        lambda path: torch.save({"step": Hostile()}, path),
        lambda path: path.write_bytes(pickle.dumps({"step": Hostile()}, protocol=2)),
    ):
        write(folder / "training_state.pt")
        with pytest.raises(UserError, match=r"training_state\.pt cannot be used"):
            load_training_state(folder)
    assert not (tmp_path / "owned").exists()


def test_a_best_link_that_climbs_out_is_not_followed(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 1)
    outside = save(tmp_path / "other", 9)
    for target in (str(outside), f"../../../other/stage1/checkpoints/{outside.name}", "gone"):
        link = folder.parent / "best"
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        assert find_checkpoint(tmp_path / "run", "stage1", "best") == folder


def test_config_json_is_plain_json(tmp_path: Path) -> None:
    folder = save(tmp_path, 1)
    assert json.loads((folder / "config.json").read_text()) == {"dlp": {"k": 3}}
