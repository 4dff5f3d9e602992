"""The one training engine, for both stages and any number of devices.

One CPU, one GPU, many GPUs on many machines; only the settings of the stage differ:

    particlecast train-dlp --data SOURCE --run DIR --stage1.accelerator cpu
    particlecast train-dlp --data SOURCE --run DIR --stage1.accelerator cuda
    particlecast train-dlp --data SOURCE --run DIR --stage1.devices 8 --stage1.nodes 4

Every step draws its data and its random numbers from seeds made of (seed, step, shard). So a
run's whole state is its weights, its optimiser and its step, and a resumed run equals an unbroken
one bit for bit on a CPU.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from data.errors import UserError
from pipelines.checkpoint import checkpoint_root, last_good, list_checkpoints, save_checkpoint
from pipelines.config import EngineConfig, plain
from pipelines.devices import (
    LossModule,
    Sealed,
    agree,
    mean_terms,
    settled,
    start_fabric,
    to_device,
)
from pipelines.lock import hold_run
from pipelines.progress import Bar, Rate
from pipelines.provenance import commit
from pipelines.restore import check_moments, restore
from pipelines.schedule import Budget, rate_share, step_seeds
from pipelines.signals import Interrupted, Signals
from pipelines.stage import Board, Stage

EVALUATIONS = 8  # in a run, unless config.evaluate_every says otherwise


@dataclass(frozen=True)
class Finished:
    """How a run ended.

    Args:
        step: optimiser steps made.
        checkpoint: the last checkpoint's folder.
        best: the best value of `Stage.best_key`.
    """

    step: int
    checkpoint: Path
    best: float | None


def train(
    stage: Stage,
    run: Path,
    config: EngineConfig,
    max_steps: int | None = None,
    max_minutes: float | None = None,
    resume: bool = False,
    seed: int = 0,
    board: Board | None = None,
    show: bool = True,
    fixed: str = "",
    spent: float = 0.0,
) -> Finished:
    """Train a stage until its steps or minutes are over, and save it in the run's folder.

    Args:
        stage: what is trained.
        run: the run's folder; checkpoints go to RUN/STAGE/checkpoints.
        config: the optimiser, the rhythm, the devices.
        max_steps, max_minutes: the run's length, exactly one of them; a resumed run counts on.
        resume: go on from the last checkpoint, if there is one (with its seed).
        seed: decides all random choices.
        board: takes the curves.
        show: a progress bar on stderr.
        fixed: why a run that is there must not be trained further; "": it may.
        spent: seconds of `max_minutes` that went into what comes before training; a fifth of the
            minutes is left for it at least. A resumed run keeps what it began with.

    Raises:
        UserError: the run is held, there already, fixed, cannot be resumed, or its loss is not
            finite.
        Interrupted: Ctrl-C or SIGTERM; the run is saved and can be resumed.
    """
    fabric = start_fabric(config)
    lock = hold_run(run) if fabric.is_global_zero else contextlib.nullcontext()
    with lock, Signals() as signals:
        root = checkpoint_root(run, stage.name)
        described = plain(stage.config())
        state = restore(stage, run, described, resume, fabric.is_global_zero, config.keep)
        seed = state.get("seed", seed)
        step, best, elapsed = state.get("step", 0), state.get("best"), state.get("elapsed", 0.0)
        best_step, spent = state.get("best_step"), agree(fabric, state.get("spent", spent))
        if max_minutes is not None:
            max_minutes = max(max_minutes - spent / 60, max_minutes / 5)
        budget = Budget(max_steps, max_minutes, elapsed)

        groups = getattr(stage, "parameter_groups", stage.model.parameters)()
        # The fused step scales gradients by itself in 16-mixed, where clipping must come between.
        optimizer = torch.optim.AdamW(
            groups,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=config.precision != "16-mixed",
        )
        peaks = [group["lr"] for group in optimizer.param_groups]
        config = settled(config, stage, fabric.device)
        narrow = config.precision == "bf16-mixed"
        module, optimizer = fabric.setup(LossModule(stage, narrow), optimizer)
        if state:
            # Moments come from the checkpoint, settings from the config.
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            check_moments(state["optimizer"], parameters, stage.name)
            settings = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state["optimizer"], "param_groups": settings})
            fabric.strategy.precision.load_state_dict(state["precision"])
        generator, made_by = torch.Generator(), commit()
        stage.model.train()

        progress = budget.progress(step, elapsed)
        if state and progress < 1 and fixed:
            raise UserError(fixed)
        if state and progress == 1 and show and fabric.is_global_zero:
            print(f"{stage.name} is done already, at step {step}", file=sys.stderr)
        folder = root / f"step_{step:08d}"
        saved = time.monotonic()
        rate = Rate(config.batch * config.accumulate * fabric.world_size)
        bar = Bar(stage.name, budget, step, show and fabric.is_global_zero)
        with bar, last_good(root, f"{stage.name} cannot go on in {run}", only_full=True):
            while progress < 1:
                # Set the learning rate.
                share = rate_share(config, step, progress)
                for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                    group["lr"] = peak * share
                optimizer.zero_grad()
                rate.start()

                losses = []
                for draw in range(config.accumulate):
                    # Draw a batch.
                    shard = fabric.global_rank * config.accumulate + draw
                    data_seed, random_seed = step_seeds(seed, step, shard)
                    torch.manual_seed(random_seed)
                    batch = stage.batch(step, generator.manual_seed(data_seed))
                    batch = to_device(batch, fabric.device)

                    # Compute its loss, backpropagate; processes average their gradients once.
                    more = draw + 1 < config.accumulate
                    with fabric.no_backward_sync(module, enabled=more):
                        total, terms = module(Sealed(batch), step, progress)
                        fabric.backward(total / config.accumulate)
                    losses.append({**terms, "total": total.detach()})

                # Clip the gradient, and stop before a number that is not finite reaches a weight.
                norm = fabric.clip_gradients(
                    module, optimizer, max_norm=config.clip, error_if_nonfinite=False
                )
                assert norm is not None  # Fabric gives it whenever it clips by norm
                _check_finite(losses, norm, config, stage.name, step, root)

                # Step.
                optimizer.step()
                step += 1
                rate.stop()
                elapsed, signum = agree(fabric, (budget.elapsed(), signals.caught))
                before, progress = progress, budget.progress(step, elapsed)
                last = progress == 1

                # Log the curves.
                if step % config.log_every == 0 or last:
                    values = mean_terms(fabric, losses)
                    values["learning_rate"] = share * peaks[0]
                    values["gradient_norm"] = float(norm)
                    values["images_per_second"] = rate.take()
                    bar.tell(values["total"], values["images_per_second"])
                    if board is not None and fabric.is_global_zero:
                        board.scalars(_named(f"{stage.name}/train", values), step)

                # Evaluate, on one process.
                due = int(EVALUATIONS * progress) > int(EVALUATIONS * before)
                if config.evaluate_every:
                    due = step % config.evaluate_every == 0 or last
                better = False
                if due and fabric.is_global_zero:
                    bar.describe("evaluating")
                    scores = _evaluate(stage, step, seed)
                    score = scores[stage.best_key]
                    sign = 1 if stage.best_mode == "max" else -1
                    better = math.isfinite(score) and (best is None or sign * (score - best) > 0)
                    best, best_step = (score, step) if better else (best, best_step)
                    if board is not None:
                        board.scalars(_named(f"{stage.name}/validation", scores), step)

                # Save, on one process.
                late = time.monotonic() - saved >= 60 * config.save_every_minutes
                if (due or late or last or signum) and fabric.is_global_zero:
                    bar.describe("saving")
                    if board is not None:
                        board.flush()  # a resumed run logs nothing again that is before it
                    state = {
                        "step": step,
                        "seed": seed,
                        "elapsed": budget.elapsed(),
                        "spent": spent,
                        "best": best,
                        "best_step": best_step,
                        "optimizer": optimizer.state_dict()["state"],
                        "precision": fabric.strategy.precision.state_dict(),
                    }
                    made = {"seed": seed, "commit": made_by, "threads": torch.get_num_threads()}
                    resolved = {**described, "engine": plain(config), "made": made}
                    folder = save_checkpoint(
                        root, step, stage.model, resolved, state, config.keep, better
                    )
                    saved = time.monotonic()
                bar.move(step, budget.elapsed())
                if signum:
                    raise Interrupted(
                        f"{stage.name} stopped at step {step} and is saved in {folder}: "
                        "run the same command with --resume to go on",
                        signum,
                    )
        return Finished(step, *agree(fabric, (folder, best)))


def _named(prefix: str, values: dict[str, float]) -> dict[str, float]:
    """The values under a folder of TensorBoard's."""
    return {f"{prefix}/{name}": value for name, value in values.items()}


def _check_finite(
    losses: list[dict[str, Tensor]],
    norm: Tensor,
    config: EngineConfig,
    name: str,
    step: int,
    root: Path,
) -> None:
    """Stop at a loss or a gradient that is not finite, naming the term.

    In 16-bit arithmetic the gradient may overflow: the scaler then leaves the step out.
    """
    total = torch.stack([loss["total"] for loss in losses]).sum()
    scaled = config.precision == "16-mixed"
    if torch.isfinite(total if scaled else total + norm):
        return
    bad = [key for loss in losses for key in loss if not torch.isfinite(loss[key]).all()]
    whole = list_checkpoints(root)
    kept = f"the last good checkpoint is {whole[-1]}" if whole else "nothing was saved yet"
    raise UserError(
        f"{name}: {bad[0] if bad else 'the gradient'} is not finite at step {step}; {kept}: "
        "lower the learning rate or the clip of this stage, and check the data"
    )


@torch.no_grad()
def _evaluate(stage: Stage, step: int, seed: int) -> dict[str, float]:
    """The stage's validation, with the same random numbers each time."""
    torch.manual_seed(seed)
    stage.model.eval()
    try:
        return stage.evaluate(step)
    finally:
        stage.model.train()
