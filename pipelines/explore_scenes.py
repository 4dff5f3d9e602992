"""What the page is about: a run, its clips, and the scenes they are encoded to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.errors import UserError
from data.synthetic import PREFIX, parse
from data.videos import Video
from dlp.build import ParticleModel
from dlp.config import OBJECTS
from dlp.masked.model import MaskedDLP
from dlp.particles import Particles
from dynamics.edit import velocity
from dynamics.model import GraphDynamics
from dynamics.tracks import decode_code
from pipelines.checkpoint import checkpoint_root, list_checkpoints
from pipelines.explore_json import Ranges, Refused, ranges_of, write_particles
from pipelines.forecast import Observed, observe
from pipelines.frames import to_tensor, to_uint8
from pipelines.kept import Recent
from pipelines.load import TrainedDLP, check_size, load_dlp, load_dynamics, open_data, unseen
from pipelines.rollout import select

CONTEXT = 10
"""Frames that a scene is read from, if the dynamics do not look further back."""
UPLOADS, SCENES = 8, 64
"""Uploaded clips and encoded scenes that are kept; the one longest unused goes."""
ANEW = (",videos=12,seed=1000", ",videos=12,seed=1001")
"""Options of a synthetic world that make few videos, and others than a run was trained on; the
second for a run that was trained on the first's seed."""
SHOWN = (*OBJECTS, "masked")
"""Models whose particles can be moved, removed and added."""
NOT_TRAINED = "this run has no stage 2: train it with particlecast train-dynamics to roll out"


@dataclass(frozen=True)
class World:
    """A trained run and the videos to look at; nothing in it changes.

    Args:
        run: its folder, as it was given.
        source: SOURCE of the videos.
        dlp: stage 1.
        dynamics: stage 2; None: the run has none.
        videos: clips "data:0" and on.
    """

    run: str
    source: str
    dlp: TrainedDLP
    dynamics: GraphDynamics | None
    videos: tuple[Video, ...]

    @property
    def model(self) -> ParticleModel:
        """Stage 1's model."""
        return self.dlp.model

    @property
    def context(self) -> int:
        """The most frames that a scene is read from."""
        if self.dynamics is not None:
            return max(CONTEXT, self.dynamics.config.history)
        return 1 if isinstance(self.model, MaskedDLP) else CONTEXT  # each landmark knows itself

    @property
    def ranges(self) -> Ranges:
        """What a particle's numbers may be."""
        return ranges_of(self.model)


def open_world(run: Path, data: str) -> World:
    """Load a run and open a source.

    Args:
        data: SOURCE; empty: the one that the run was trained on, or of a synthetic world a few
            videos that are made anew, which it has not seen.

    Raises:
        UserError: the run or the source is unfit.
    """
    dlp = load_dlp(run)
    if dlp.model.config.model not in SHOWN:
        raise UserError(
            f"{run} is a {dlp.model.config.model}, whose landmarks are its channels: none can be "
            f"removed or added: give a run of {', '.join(SHOWN)}"
        )
    if not data:
        data = dlp.source
        if not data:
            raise UserError(f"{run} does not say what it was trained on: give --data SOURCE")
        if data.startswith(PREFIX):
            data += ANEW[parse(data)[1]["seed"] == 1000]
    dynamics = None
    if list_checkpoints(checkpoint_root(run, "stage2")):
        dynamics = load_dynamics(run, dlp)
    dataset = open_data(data, dlp.frames)
    check_size(dlp, dataset.whole, data)
    made = data.endswith(ANEW)
    videos = unseen(dataset.whole, data, dlp) if made else select(dataset, dlp)
    return World(str(run), data, dlp, dynamics, videos)


@dataclass(frozen=True)
class Scene:
    """One frame, encoded.

    Args:
        observed: from it and those before it.
        context: how many frames that were.
        rest: what the frame has beside its particles, of models that keep that apart.
        drawn: [h, w, 3] uint8, its particles decoded.
        particles: for the page, as JSON.
    """

    observed: Observed
    context: int
    rest: Tensor | None
    drawn: np.ndarray
    particles: list[dict[str, Any]]


class Scenes:
    """Clips and scenes by name; all that is kept here is immutable.

    Args:
        world: whose.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._uploads: Recent[str, Video] = Recent(UPLOADS)
        self._scenes: Recent[tuple[str, int], Scene] = Recent(SCENES)

    def add(self, video: Video) -> str:
        """Keep an uploaded clip; its name, that nobody guesses."""
        name = f"upload:{secrets.token_urlsafe(16)}"
        self._uploads.put(name, video)
        return name

    def clip(self, name: str) -> Video:
        """A clip by name.

        Raises:
            Refused: no such clip.
        """
        kind, _, rest = name.partition(":")
        if kind == "data" and rest.isdecimal() and len(rest) < 10:
            if int(rest) < len(self.world.videos):
                return self.world.videos[int(rest)]
        elif (video := self._uploads.get(name)) is not None:
            return video
        if kind == "upload":
            raise Refused("the dropped clip is no longer kept: drop the file again", 404)
        raise Refused(f"no clip {name[:40]!r}: there are data:0 to {self._last()}", 404)

    def _last(self) -> str:
        return f"data:{len(self.world.videos) - 1}"

    def frame(self, clip: str, number: int) -> np.ndarray:
        """Frame `number` of a clip, [h, w, 3] uint8.

        Raises:
            Refused: no such clip or frame.
        """
        return self.clip(clip).frames[self._checked(clip, number)]

    def context(self, clip: str, number: int) -> np.ndarray:
        """The frames that a scene is read from, [c, h, w, 3]: up to frame `number` and with it."""
        last = self._checked(clip, number) + 1
        frames = self.clip(clip).frames[max(0, last - self.world.context) : last]
        return np.ascontiguousarray(frames)

    def _checked(self, clip: str, number: int) -> int:
        if not 0 <= number < (length := len(self.clip(clip))):
            raise Refused(f"no such frame: the clip has frames 0 to {length - 1}", 404)
        return number

    def scene(self, clip: str, number: int) -> Scene:
        """A frame's scene, encoded once.

        Raises:
            Refused: no such clip or frame.
        """
        self._checked(clip, number)
        known = self._scenes.get((clip, number))
        if known is None:
            known = self._encode(self.context(clip, number))
            self._scenes.put((clip, number), known)
        return known

    def rest(self, clip: str, number: int) -> Tensor | None:
        """What a frame has beside its particles; None: the model keeps nothing apart.

        Raises:
            Refused: no such clip or frame.
        """
        if isinstance(self.world.model, MaskedDLP):
            return self.scene(clip, number).rest
        self._checked(clip, number)  # without encoding it
        return None

    @torch.no_grad()
    def _encode(self, frames: np.ndarray) -> Scene:
        model = self.world.model
        observed = observe(model, self.world.dynamics, frames)
        state = observed.state
        particles = decode_code(state.position[:, -1], state.code, state.alive)
        told = write_particles(
            particles[0],
            observed.deviation[0],
            velocity(state)[0],
            state.seen[0, -1] > 0,
            state.alive[0].nonzero()[:, 0].tolist(),
            model,
        )
        rest = None
        if isinstance(model, MaskedDLP):
            _, rest = model.look(to_tensor(frames[-1:]))
        return Scene(observed, len(frames), rest, self.draw(particles, rest), told)

    @torch.no_grad()
    def draw(self, particles: Particles, rest: Tensor | None = None) -> np.ndarray:
        """The picture of one set of particles, [1, k, ...] to [h, w, 3] uint8.

        Args:
            rest: of the scene that they are in; None: of none in particular.
        """
        model = self.world.model
        if isinstance(model, MaskedDLP):
            return to_uint8(model.decode(particles, rest).image)[0]
        return to_uint8(model.decode(particles).image)[0]
