"""Both stages, one after the other, the minutes shared between them.

particlecast train --data SOURCE --run DIR --max-minutes 10
"""

from __future__ import annotations

from pathlib import Path

from data.frames import FrameConfig
from dlp.config import DLPConfig
from dynamics.config import DynamicsConfig
from pipelines.checkpoint import checkpoint_root, list_checkpoints, refuse_again
from pipelines.config import EngineConfig
from pipelines.lock import hold_run
from pipelines.stranger import check_settings
from pipelines.train_dlp import train_dlp
from pipelines.train_dynamics import train_dynamics

STAGE1_SHARE = 0.55


def train(
    data: str,
    run: Path,
    frames: FrameConfig,
    dlp: DLPConfig,
    stage1: EngineConfig,
    dynamics: DynamicsConfig,
    stage2: EngineConfig,
    max_minutes: float = 10.0,
    resume: bool = False,
    seed: int = 0,
) -> None:
    """Train both stages within `max_minutes` of training, encoding between them included.

    Decoding the source into the cache comes before, once, and is not counted.

    Raises:
        UserError: the source, the run or the settings are unfit.
    """
    check_settings(dynamics, "--dynamics")  # stage 1 is not trained for a stage 2 that cannot be
    with hold_run(run):
        refuse_again(run, "stage1", resume)
        refuse_again(run, "stage2", resume)
        minutes = STAGE1_SHARE * max_minutes
        # Once stage 2 stands on stage 1, stage 1 must stay as it is: more minutes are stage 2's.
        if not list_checkpoints(checkpoint_root(run, "stage2")):
            train_dlp(data, run, frames, dlp, stage1, minutes, None, resume, seed)
        train_dynamics(data, run, dynamics, stage2, max_minutes - minutes, None, resume, seed)
