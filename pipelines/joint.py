"""Both stages as one: a forecast's image error reaches the encoder too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from data.errors import UserError
from data.videos import Dataset
from dlp.build import ParticleModel
from dlp.losses import Loss
from dlp.particles import LIVE
from dynamics.image import image_loss
from dynamics.losses import unrolled_loss
from dynamics.model import GraphDynamics
from dynamics.rollout import unroll
from dynamics.state import State
from dynamics.tracks import Tracks, decode_code, encode_code
from dynamics.windows import Window, gather, window_starts
from pipelines.calibrate import calibrate
from pipelines.config import plain
from pipelines.devices import to_device
from pipelines.load import TrainedDLP
from pipelines.metrics import TOLERANCE

IMAGE = 0.02
"""Weight of the image error, if the run's own config has none."""
SHOWN = 32
"""Validation windows whose forecasts are drawn: half to choose a checkpoint, half to judge it."""


@dataclass(frozen=True)
class Clip:
    """Windows of tracks and the frames that they were found in.

    Args:
        window: b windows.
        frames: [b, history + u, h, w, 3] uint8.
    """

    window: Window
    frames: Tensor


class Joint(nn.Module):
    """Both stages as one module."""

    def __init__(self, dlp: nn.Module, dynamics: GraphDynamics) -> None:
        super().__init__()
        self.dlp = dlp
        self.dynamics = dynamics


def observed_state(dlp: ParticleModel, state: State, frames: Tensor) -> State:
    """The state as the encoder sees it now, so that it takes gradients.

    Each track's frame gets the live slot nearest to where the track was; where it was not seen,
    or no slot is near, it stays.

    Args:
        state: b sets of the tracks, found earlier.
        frames: [b, h, 3, height, width], the history's.
    """
    b, h, _ = state.seen.shape
    found = dlp.encode(rearrange(frames, "b h c y x -> (b h) c y x")).particles
    found = found.apply(lambda x: x.unflatten(0, (b, h)))
    side = state.position.new_tensor([dlp.size[1], dlp.size[0]]) / 2
    away = torch.cdist(state.position * side, found.position.detach() * side)  # (b, h, n, k)
    away = away.masked_fill(found.transparency[:, :, None] <= LIVE, torch.inf)
    nearest = away.min(-1)
    ours = (state.seen > 0) & (nearest.values < TOLERANCE * max(dlp.size))  # (b, h, n)
    slot = nearest.indices[..., None]
    position = found.position.gather(2, slot.expand(-1, -1, -1, 2))
    code = encode_code(found)
    code = code.gather(2, slot.expand(-1, -1, -1, code.shape[-1]))
    order = torch.arange(1, h + 1, device=ours.device)[None, :, None]
    last = (ours * order).argmax(1, keepdim=True)[..., None]  # (b, 1, n, 1), of its last sighting
    now = code.gather(1, last.expand(-1, -1, -1, code.shape[-1]))[:, 0]
    return replace(
        state,
        position=torch.where(ours[..., None], position, state.position),
        code=torch.where(ours.any(1)[..., None], now, state.code),
        seen=state.seen * ours,
    )


@dataclass
class JointStage:
    """Both stages for the engine.

    Args:
        dlp: stage 1, trained.
        dynamics: stage 2, trained.
        dataset: the videos.
        tracks, validation: of its training and validation videos.
        size: windows of a batch.

    `held_out`, [m, 2] int64 (video, first frame), are the validation windows by which the best
    checkpoint is chosen; `unchosen`, those after them, have no part in that.

    Raises:
        UserError: no training video is long enough.
    """

    dlp: TrainedDLP
    dynamics: GraphDynamics
    dataset: Dataset
    tracks: Sequence[Tracks]
    validation: Sequence[Tracks]
    size: int
    name: str = "joint"
    best_key: str = "forecast_psnr"
    best_mode: Literal["min", "max"] = "max"

    def __post_init__(self) -> None:
        assert isinstance(self.dlp.model, nn.Module)
        self.model = Joint(self.dlp.model, self.dynamics).requires_grad_(True)
        config = self.dynamics.config
        longest = max(len(one) for one in self.tracks)
        self.history, self.horizon = config.history, min(config.horizon, longest - config.history)
        if self.horizon < 1:
            raise UserError(
                f"videos too short: the longest has {longest} frames, at least "
                f"{self.history + 1} are needed: give longer videos"
            )
        self.starts = window_starts(self.tracks, self.history, self.horizon)
        held_out = window_starts(self.validation, self.history, self.horizon)
        every = torch.linspace(0, len(held_out) - 1, min(len(held_out), SHOWN)).long()
        half = (len(every) + 1) // 2  # not in turn: neighbours share frames
        self.held_out, self.unchosen = held_out[every[:half]], held_out[every[half:]]
        self.image = config.image or IMAGE

    def config(self) -> dict[str, Any]:
        """What was trained further."""
        return {
            "dynamics": plain(self.dynamics.config),
            "stage1": self.dlp.digest,
            "fingerprint": self.dataset.fingerprint,
        }

    def batch(self, step: int, generator: torch.Generator) -> Clip:
        """Windows drawn evenly from all training videos and times."""
        chosen = torch.randint(len(self.starts), (self.size,), generator=generator)
        return self._clip(self.starts[chosen], self.dataset.train, self.tracks)

    def loss(self, batch: Clip, step: int, progress: float) -> Loss:
        """Stage 2's loss from what the encoder sees, the image error, and stage 1's own loss."""
        frames, h = batch.frames, self.history
        known = rearrange(frames[:, :h], "b h y x c -> b h c y x") / 255
        state = observed_state(self.dlp.model, batch.window.state, known)
        unrolled = unrolled_loss(self.dynamics, replace(batch.window, state=state), self.horizon)
        image = image_loss(
            self.dlp.model.decode, unrolled.position, unrolled.code, state.alive, frames[:, h:]
        )
        one = torch.randint(frames.shape[1], (len(frames),))
        own = self.dlp.model.loss(
            rearrange(frames[torch.arange(len(frames)), one], "b y x c -> b c y x") / 255, 1.0
        )
        total = unrolled.loss.total + self.image * (image + own.total)
        terms = {**unrolled.loss.terms, "loss": total, "image": image, "stage1": own.total}
        return Loss(total, {name: term.detach() for name, term in terms.items()})

    def evaluate(self, step: int) -> dict[str, float]:
        """How well forecasts of the windows that choose are drawn; stage 1 is calibrated first."""
        if len(self.held_out):
            calibrate(self.dlp.model, self.dataset.val)
        return self.score(self.held_out)

    def score(self, starts: Tensor) -> dict[str, float]:
        """How well forecasts are drawn, and where their particles are, at the last step.

        Args:
            starts: [m, 2] int64 (video, first frame) of validation windows.

        Returns:
            forecast_psnr in dB and position_error in pixels, means; of no windows, NaN alone.
        """
        if not len(starts):
            return {"forecast_psnr": float("nan")}
        clip = to_device(
            self._clip(starts, self.dataset.val, self.validation), self.dynamics.side.device
        )
        errors, off = [], []
        for i in range(len(clip.frames)):
            known, true = (
                rearrange(frames, "t y x c -> t c y x")[None] / 255
                for frames in (clip.frames[i, : self.history], clip.frames[i, -1:])
            )
            state = observed_state(self.dlp.model, clip.window.state.sets(slice(i, i + 1)), known)
            *_, last = unroll(self.dynamics, state, self.horizon)
            drawn = decode_code(last.position[:, -1], last.code, last.alive)
            errors.append((self.dlp.model.decode(drawn).image - true[0]).square().mean())
            mask = clip.window.mask[i, -1] > 0
            miss = (last.position[0, -1] - clip.window.position[i, -1]) * self.dynamics.side
            off.append(miss.norm(dim=-1)[mask])
        psnr = -10 * torch.stack(errors).clamp(min=1e-10).log10().mean()
        return {"forecast_psnr": float(psnr), "position_error": float(torch.cat(off).mean())}

    def _clip(self, starts: Tensor, videos: Sequence[Any], tracks: Sequence[Tracks]) -> Clip:
        """Windows, and their frames."""
        length = self.history + self.horizon
        frames = [videos[v].frames[t : t + length] for v, t in starts.tolist()]
        rows = self.dlp.model.config.particles
        window = gather(tracks, starts, self.history, self.horizon, rows)
        return Clip(window, torch.from_numpy(np.stack(frames)))
