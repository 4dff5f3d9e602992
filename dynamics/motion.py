"""The dynamics model as the motion that identity expects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dlp.particles import from_pixels, to_pixels
from dynamics.identity import Track, constant_velocity
from dynamics.model import GraphDynamics
from dynamics.state import State
from dynamics.tracks import last_frames

KNOWN = 3
"""Sightings from which on the model is asked; before, a track's velocity is all there is."""


class LearnedMotion:
    """Where the model expects each track in the next frame, its neighbours considered.

    Args:
        model: in eval mode, on the CPU.
        code: [t, k, d + 3] of the particles that are linked, from `encode_code`.
    """

    def __init__(self, model: GraphDynamics, code: Tensor) -> None:
        self.model = model
        self.code = code

    @torch.no_grad()
    def __call__(self, tracks: Sequence[Track]) -> np.ndarray:
        """The tracks' next positions, [n, 2], pixels."""
        history, size = self.model.config.history, self.model.size
        paths = []
        for track in tracks:
            path = torch.from_numpy(np.stack(track.path[-history:])).float()
            paths.append(last_frames(from_pixels(path, *size), history))
        seen = torch.zeros(1, history, len(tracks))
        for row, track in enumerate(tracks):
            known = torch.tensor(track.seen[-history:]).float()
            seen[0, history - len(known) :, row] = known
        state = State(
            position=torch.stack(paths, 1)[None],
            seen=seen,
            code=torch.stack([self.code[track.last] for track in tracks])[None],
            alive=torch.ones(1, len(tracks), dtype=torch.bool),
        )
        position, _ = self.model(state)
        expected = to_pixels(position[0], *size).numpy()
        old = np.array([track.age >= KNOWN for track in tracks])[:, None]
        return np.where(old, expected, constant_velocity(tracks))
