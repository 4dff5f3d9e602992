from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from data.errors import UserError
from pipelines.checkpoint import (
    checkpoint_root,
    find_checkpoint,
    list_checkpoints,
    save_checkpoint,
)
from pipelines.config import EngineConfig
from pipelines.engine import train
from pipelines.lock import hold_run
from pipelines.schedule import Budget, rate_share, step_seeds
from pipelines.signals import Interrupted
from tests.pipelines.commands import ticking
from tests.pipelines.toy import CONFIG, Toy


class Curves:
    def __init__(self) -> None:
        self.points: dict[tuple[str, int], float] = {}

    def scalars(self, values: dict[str, float], step: int) -> None:
        self.points.update({(name, step): value for name, value in values.items()})

    def flush(self) -> None:
        self.flushed = dict(self.points)

    def exact(self) -> dict[tuple[str, int], float]:
        return {key: v for key, v in self.points.items() if "images_per_second" not in key[0]}


class Stopping(Toy):
    """Gets a signal while it draws the batch of a given step."""

    def __init__(self, stop_at: int, signum: int = signal.SIGINT) -> None:
        super().__init__()
        self.at, self.signum = stop_at, signum

    def batch(self, step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        if step == self.at:
            os.kill(os.getpid(), self.signum)
        return super().batch(step, generator)


def files(run: Path) -> dict[str, bytes]:
    last = find_checkpoint(run, "stage1", "last")
    return {"name": last.name.encode(), "model": (last / "model.safetensors").read_bytes()}


def moments(run: Path) -> Any:
    state = torch.load(find_checkpoint(run, "stage1", "last") / "training_state.pt")
    return state["optimizer"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_and_resumed_run_equals_an_unbroken_one(tmp_path: Path, signum: int) -> None:
    whole, parts = Curves(), Curves()
    unbroken = train(Toy(), tmp_path / "a", CONFIG, max_steps=12, board=whole, show=False)
    with pytest.raises(Interrupted, match=r"stopped at step 7 .*--resume to go on") as stopped:
        train(Stopping(6, signum), tmp_path / "b", CONFIG, max_steps=12, board=parts, show=False)
    assert stopped.value.signum == signum
    resumed = train(
        Toy(seed=9), tmp_path / "b", CONFIG, max_steps=12, resume=True, board=parts, show=False
    )
    assert files(tmp_path / "a") == files(tmp_path / "b")
    torch.testing.assert_close(moments(tmp_path / "a"), moments(tmp_path / "b"), rtol=0, atol=0)
    assert whole.exact() == parts.exact()
    assert (resumed.step, resumed.best) == (12, unbroken.best)


def test_a_killed_and_resumed_process_equals_an_unbroken_one(tmp_path: Path) -> None:
    steps = 150
    train(Toy(), tmp_path / "a", CONFIG, max_steps=steps, show=False)
    command = [sys.executable, "-m", "tests.pipelines.toy", str(tmp_path / "b"), str(steps)]
    root = checkpoint_root(tmp_path / "b", "stage1")
    for step in (5, 23):
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        while process.poll() is None and not (root / f"step_{step:08d}").exists():
            time.sleep(0.001)
        process.kill()
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors.decode()
    train(Toy(seed=9), tmp_path / "b", CONFIG, max_steps=steps, resume=True, show=False)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_the_seed_decides_the_run_and_a_resumed_run_keeps_it(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(Toy(), tmp_path / name, CONFIG, max_steps=4, seed=seed, show=False)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a") != files(tmp_path / "c")
    for name, seed in (("a", 3), ("b", 5)):
        train(Toy(), tmp_path / name, CONFIG, max_steps=6, seed=seed, resume=True, show=False)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_accumulated_draws_are_new_data_and_average_to_one_large_batch(tmp_path: Path) -> None:
    class Linear(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.model = torch.nn.Sequential(torch.nn.Linear(2, 1))

    class Large(Linear):
        def batch(self, step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
            draws = []
            for shard in range(3):
                generator.manual_seed(step_seeds(0, step, shard)[0])
                draws.append(super().batch(step, generator))
            return {name: torch.cat([draw[name] for draw in draws]) for name in draws[0]}

    small, large = Linear(), Large()
    train(small, tmp_path / "a", replace(CONFIG, accumulate=3), max_steps=5, show=False)
    train(large, tmp_path / "b", replace(CONFIG, batch=12), max_steps=5, show=False)
    assert len({tuple(x.flatten().tolist()) for x in small.batches}) == 15
    torch.testing.assert_close(dict(small.model.state_dict()), dict(large.model.state_dict()))


def test_a_loss_that_is_not_finite_stops_with_its_term_and_leaves_the_last_good(
    tmp_path: Path,
) -> None:
    toy = Toy()
    toy.broken_at = 5
    with pytest.raises(UserError, match=r"stage1: price is not finite at step 5.*step_00000005"):
        train(toy, tmp_path, CONFIG, max_steps=12, show=False)
    last = find_checkpoint(tmp_path, "stage1", "last")
    assert last.name == "step_00000005"
    weights = dict(toy.model.state_dict())
    assert all(torch.isfinite(weight).all() for weight in weights.values())
    assert train(Toy(), tmp_path, CONFIG, max_steps=12, resume=True, show=False).step == 12


def test_a_run_that_is_there_needs_resume_and_the_same_settings(tmp_path: Path) -> None:
    train(Toy(), tmp_path, CONFIG, max_steps=2, show=False)
    before = files(tmp_path)
    with pytest.raises(UserError, match=r"has a stage 1 already \(step_00000002\): add --resume"):
        train(Toy(), tmp_path, CONFIG, max_steps=4, show=False)
    with pytest.raises(UserError, match=r"toy\.width was 8 and is 16 now"):
        train(Toy(width=16), tmp_path, CONFIG, max_steps=4, resume=True, show=False)
    assert files(tmp_path) == before


def test_a_finished_run_is_left_as_it_is_by_resume(tmp_path: Path) -> None:
    train(Toy(), tmp_path, CONFIG, max_steps=3, show=False)
    before = files(tmp_path)
    ended = train(Toy(), tmp_path, CONFIG, max_steps=3, resume=True, show=False)
    assert files(tmp_path) == before
    assert ended.checkpoint == find_checkpoint(tmp_path, "stage1", "last")


def test_resume_starts_a_run_that_is_not_there_yet(tmp_path: Path) -> None:
    assert train(Toy(), tmp_path, CONFIG, max_steps=2, resume=True, show=False).step == 2


def test_minutes_are_counted_over_resumptions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Budget, "elapsed", ticking)
    first = train(Toy(), tmp_path, CONFIG, max_minutes=0.5, show=False)
    again = train(Toy(), tmp_path, CONFIG, max_minutes=0.5, resume=True, show=False)
    more = train(Toy(), tmp_path, CONFIG, max_minutes=1, resume=True, show=False)
    assert again.step == first.step < more.step


def test_the_best_and_the_newest_checkpoints_stay(tmp_path: Path) -> None:
    class Scored(Toy):
        def evaluate(self, step: int) -> dict[str, float]:
            return {"error": abs(step - 5.0)}

    config = replace(CONFIG, evaluate_every=1, keep=2)
    ended = train(Scored(), tmp_path, config, max_steps=10, show=False)
    root = checkpoint_root(tmp_path, "stage1")
    steps = [int(path.name.removeprefix("step_")) for path in list_checkpoints(root)]
    assert steps == [5, 9, 10]
    assert os.readlink(root / "best") == "step_00000005"
    assert os.readlink(root / "last") == "step_00000010"
    assert ended.best == 0


def test_resuming_finishes_what_one_killed_between_saving_and_linking_left(tmp_path: Path) -> None:
    class Better(Toy):
        def evaluate(self, step: int) -> dict[str, float]:
            return {"error": -float(step)}

    config = replace(CONFIG, evaluate_every=1, keep=2)
    train(Better(), tmp_path, config, max_steps=4, show=False)
    root = checkpoint_root(tmp_path, "stage1")
    for name in ("last", "best"):
        (root / name).unlink()
        (root / name).symlink_to("step_00000003")
    (root / ".last.partial").symlink_to("step_00000004")
    train(Better(), tmp_path, config, max_steps=4, resume=True, show=False)
    assert [os.readlink(root / name) for name in ("last", "best")] == ["step_00000004"] * 2
    assert not list(root.glob(".*"))


def test_what_is_logged_is_on_the_disk_before_the_checkpoint_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curves, seen = Curves(), []

    def save(root: Path, step: int, *rest: Any) -> Path:
        seen.append(("stage1/train/total", step) in curves.flushed)
        return save_checkpoint(root, step, *rest)

    monkeypatch.setattr("pipelines.engine.save_checkpoint", save)
    train(Toy(), tmp_path, CONFIG, max_steps=5, board=curves, show=False)
    assert seen == [True] * 5


def test_every_curve_is_logged_and_eight_validations_spread_over_the_run(tmp_path: Path) -> None:
    curves = Curves()
    train(Toy(), tmp_path, replace(CONFIG, log_every=4), max_steps=16, board=curves, show=False)
    terms = ["total", "error", "price", "learning_rate", "gradient_norm", "images_per_second"]
    assert {key for key in curves.points if "/train/" in key[0]} == {
        (f"stage1/train/{term}", step) for term in terms for step in (4, 8, 12, 16)
    }
    validated = [step for name, step in curves.points if name == "stage1/validation/error"]
    assert validated == list(range(2, 17, 2))


def test_a_run_that_another_process_holds_is_refused_until_it_ends(tmp_path: Path) -> None:
    hold = "import sys, pathlib, pipelines.lock as lock\n"
    hold += "with lock.hold_run(pathlib.Path(sys.argv[1])): print('held', flush=True); input()"
    command = [sys.executable, "-c", hold, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"held by .*\(process {holder.pid}\)"):
            train(Toy(), tmp_path, CONFIG, max_steps=1, show=False)
        holder.kill()
    assert train(Toy(), tmp_path, CONFIG, max_steps=1, show=False).step == 1


def test_a_run_may_be_held_around_both_stages(tmp_path: Path) -> None:
    with hold_run(tmp_path):
        train(Toy(), tmp_path, CONFIG, max_steps=1, show=False)
        assert train(Toy(), tmp_path, CONFIG, max_steps=2, resume=True, show=False).step == 2


def test_a_device_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot train with accelerator abacus"):
        train(Toy(), tmp_path, replace(CONFIG, accelerator="abacus"), max_steps=1, show=False)


def test_the_rate_warms_up_and_decays_to_its_final_share() -> None:
    config = EngineConfig(warmup_steps=10, final_rate=0.1)
    shares = [rate_share(config, step, 0.0) for step in range(12)]
    assert shares[:2] == pytest.approx([0.1, 0.2])
    assert shares[9:] == [1, 1, 1]
    assert rate_share(config, 99, 0.5) == pytest.approx(0.55)
    assert rate_share(config, 99, 1.0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("steps", "minutes"), [(None, None), (3, 1.0), (0, None), (None, -1.0), (None, float("nan"))]
)
def test_a_budget_is_one_positive_limit(steps: int | None, minutes: float | None) -> None:
    with pytest.raises(ValueError, match="give"):
        Budget(steps, minutes)


def test_each_draw_has_seeds_of_its_own() -> None:
    drawn = {step_seeds(s, t, k) for s in range(5) for t in range(20) for k in range(3)}
    assert len(drawn) == 300


def test_the_minutes_that_went_before_a_run_are_the_same_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float | None] = []

    def budget(max_steps: int | None, max_minutes: float | None, before: float) -> Budget:
        given.append(max_minutes)
        return Budget(max_steps, max_minutes, before)

    def run(home: Path, resume: bool, spent: float) -> int:
        return train(Toy(), home, CONFIG, None, 0.02, resume, show=False, spent=spent).step

    monkeypatch.setattr("pipelines.engine.Budget", budget)
    first = run(tmp_path / "some", resume=False, spent=0.9)
    assert run(tmp_path / "some", resume=True, spent=0.0) == first  # it was not done again
    run(tmp_path / "most", resume=False, spent=60.0)
    assert given == pytest.approx([0.005, 0.005, 0.004])
