"""The Frechet video distance (Unterthiner et al., 2018), with a network that the user has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.errors import UserError

FEWEST_FRAMES = 10
"""I3D's poolings leave nothing of fewer."""
HINT = (
    "give the I3D as TorchScript, such as i3d_torchscript.pt, which takes [n, 3, t, h, w] in "
    "[0, 255] with rescale, resize and return_features"
)


class VideoFeatures:
    """What the network says of whole videos.

    Args:
        path: I3D trained on Kinetics-400, as TorchScript, as StyleGAN-V's code takes it.

    Raises:
        UserError: there is no such file, or it is no TorchScript.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.network = torch.jit.load(str(path), map_location="cpu").eval()
        except (RuntimeError, ValueError, OSError) as error:
            reason = "it is no TorchScript" if path.is_file() else "there is no such file"
            raise UserError(f"--fvd {path}: cannot be used: {reason}: {HINT}") from error
        self.path = path

    @torch.no_grad()
    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Features [d] of one video [t, h, w, 3] uint8."""
        video = torch.from_numpy(np.array(frames)).permute(3, 0, 1, 2)[None].float()
        try:
            found = self.network(video, rescale=True, resize=True, return_features=True)
        except (RuntimeError, torch.jit.Error) as error:
            text = " ".join(str(error).split())[-200:]
            raise UserError(f"--fvd {self.path}: cannot be used: {text}: {HINT}") from error
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != 1:
            raise UserError(f"--fvd {self.path}: it gives no features [n, d]: {HINT}")
        return found[0].double().numpy()


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    """Distance of the Gaussians of two sets of features [n, d] and [m, d], n and m at least 2.

    |mu - mu'|^2 + tr(S + S' - 2 (S S')^(1/2)). With the centred features X, the last trace is the
    sum of the singular values of X X'^T: exact for few videos too, whose S is singular.
    """
    means = one.mean(0), other.mean(0)
    first, second = (
        (x - mu) / np.sqrt(len(x) - 1) for x, mu in zip((one, other), means, strict=True)
    )
    root = np.linalg.norm(first @ second.T, "nuc")
    spread = np.square(first).sum() + np.square(second).sum() - 2 * root
    return float(np.square(means[0] - means[1]).sum() + spread)


class FVD:
    """The distance of forecasts from the truth, video by video collected.

    Args:
        path: of the network.
        frames: of each forecast.

    Raises:
        UserError: the file is unfit, or the forecasts are too short.
    """

    def __init__(self, path: Path, frames: int) -> None:
        if frames < FEWEST_FRAMES:
            raise UserError(f"--fvd takes a --horizon of at least {FEWEST_FRAMES}, found {frames}")
        self.features = VideoFeatures(path)
        self.found: dict[str, list[np.ndarray]] = {}

    def add(self, **videos: np.ndarray) -> None:
        """What happened in one video, as `true`, and what was foreseen, [t, h, w, 3] uint8."""
        for name, frames in videos.items():
            self.found.setdefault(name, []).append(self.features(frames))

    def distances(self) -> dict[str, float]:
        """Name to its distance from the truth, predicted frames alone; {} of a single video."""
        every = {name: np.stack(features) for name, features in self.found.items()}
        true = every.pop("true", np.zeros((0, 1)))
        if len(true) < 2:
            return {}
        return {
            f"FVD of {len(true)} videos, {name.replace('_', ' ')}": frechet(x, true)
            for name, x in every.items()
        }
