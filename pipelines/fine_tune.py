"""Both stages trained further together: the image error of a forecast reaches the encoder too.

particlecast fine-tune --data SOURCE --run DIR --out DIR2 --max-minutes 5
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from data.errors import UserError
from pipelines.boards import Board
from pipelines.checkpoint import (
    checkpoint_root,
    find_checkpoint,
    load_config,
    load_model_weights,
    logged_again_from,
    refuse_again,
    save_checkpoint,
)
from pipelines.config import EngineConfig
from pipelines.devices import agree, start_fabric
from pipelines.encode import encode_tracks
from pipelines.engine import Finished, train
from pipelines.joint import JointStage
from pipelines.load import (
    check_own,
    check_size,
    digest_of,
    load_dlp,
    load_dynamics,
    open_data,
)
from pipelines.lock import hold_run, is_follower
from pipelines.progress import reporting
from pipelines.provenance import training


def fine_tune(
    data: str,
    run: Path,
    out: Path,
    engine: EngineConfig,
    max_minutes: float | None = None,
    max_steps: int | None = None,
    resume: bool = False,
    seed: int = 0,
) -> Finished:
    """Train both stages of RUN further, together, and leave them as the stages of OUT.

    Args:
        data: the source that both were trained on.
        run: holds both stages; nothing in it changes.
        out: another run's folder; its OUT/joint can be resumed.

    Raises:
        UserError: a stage is missing, or the source, the folder or the settings are unfit.
    """
    if out.resolve() == run.resolve():
        raise UserError(f"--out is --run: {out}: choose another folder, so that both stay whole")
    with hold_run(out):
        refuse_again(out, "joint", resume)
        for part in ("stage1", "stage2"):  # what is there is another run's
            refuse_again(out, part, resume and checkpoint_root(out, "joint").exists())
        dlp = load_dlp(run)
        if dlp.model.config.model == "paper" and dlp.model.config.paper.rec == "vgg":
            raise UserError(
                f"{run}: the paper's model with VGG features cannot be fine-tuned: "
                "train it longer with train-dlp --resume"
            )
        dynamics = load_dynamics(run, dlp)
        dataset = open_data(data, dlp.frames)
        check_size(dlp, dataset.whole, data)
        check_own(dlp, dataset, run)
        fabric = start_fabric(engine)
        key = f"{dlp.digest}-{dataset.fingerprint}"
        with reporting() as progress:
            cache = out / "joint" / "particles"
            tracks, validation = (
                encode_tracks(
                    dlp.model, videos, cache / f"{name}.safetensors", key, progress, fabric
                )
                for name, videos in (("train", dataset.train), ("val", dataset.val))
            )
        torch.manual_seed(seed)
        board = Board(out / "tensorboard" / "joint", logged_again_from(out, "joint", resume))
        stage = JointStage(dlp, dynamics, dataset, tracks, validation, engine.batch)
        before = math.nan if is_follower() else judged(stage)
        finished = train(stage, out, engine, max_steps, max_minutes, resume, seed, board)
        board.close()
        _part(stage, run, out, finished.step, fabric)
        if not is_follower():
            after = judged(stage)
            better = round(after, 2) > round(before, 2)  # as they are printed
            words = "better" if better else "NOT better: keep the run that it began with"
            if math.isnan(before):
                words = "too little is held out to tell"
            print(
                f"forecasts of held-out windows, step {stage.horizon}: {before:.2f} dB before, "
                f"{after:.2f} dB after, {words}\nboth stages are in {out}",
                file=sys.stderr,
            )
    return finished


@torch.no_grad()
def judged(stage: JointStage) -> float:
    """dB of forecasts as the model is now, of windows that chose no checkpoint; NaN without any."""
    stage.model.eval()
    return stage.score(stage.unchosen)[stage.best_key]


def _part(stage: JointStage, run: Path, out: Path, step: int, fabric: Fabric) -> None:
    """The best of OUT/joint as OUT/stage1 and OUT/stage2, its births as this encoder sees them.

    The first process saves; all of them encode.
    """
    load_model_weights(find_checkpoint(out, "joint"), stage.model)
    stage.model.eval()
    digest = ""
    if not is_follower():
        first = _further(find_checkpoint(run, "stage1"), step)
        root = checkpoint_root(out, "stage1")
        digest = digest_of(save_checkpoint(root, step, stage.model.dlp, first, {}, best=True))
    digest = agree(fabric, digest)
    with reporting() as progress:
        cache, key = out / "particles" / "train.safetensors", f"{digest}-{stage.dlp.fingerprint}"
        tracks = encode_tracks(stage.dlp.model, stage.dataset.train, cache, key, progress, fabric)
    if not is_follower():
        second = _further(find_checkpoint(run, "stage2"), step) | {"stage1": digest}
        stage.dynamics.births.fit(tracks, stage.dynamics.side.cpu())
        save_checkpoint(checkpoint_root(out, "stage2"), step, stage.dynamics, second, {}, best=True)


def _further(folder: Path, step: int) -> dict[str, Any]:
    """The config.json of a checkpoint that was trained further, for so many steps together."""
    return load_config(folder) | {"made": training(folder) | {"fine-tuned steps": step}}
