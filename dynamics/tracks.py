"""Linked particles: a row an identity, a column a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlp.particles import LIVE, Particles, to_pixels
from dynamics.identity import LinkConfig, Motion, constant_velocity, link
from dynamics.state import State

LOGIT = 6.0
"""Bound of a transparency's logit."""
STRIDE = 5
"""Sightings over which a track's velocity is taken, to carry it on beyond its ends."""
FLAT = 1e-3
"""Looks that vary less than this tell nobody from anybody."""
LEAVING = 6
"""Frames within which a track that is carried on must cross the border to count as gone."""


@dataclass(frozen=True)
class Tracks:
    """The n identities of one video.

    Args:
        position: [t, n, 2], (x, y) in [-1, 1]; between sightings interpolated, beyond them
            carried on at the velocity of the nearest ones.
        code: [t, n, d + 3] appearance, scale's logarithm, depth and transparency's logit;
            between sightings and beyond them, the nearest sighting's.
        seen: [t, n] bool.
        left: [t, n] bool, after the last sighting of one that has moved out of the frame.
        deviation: [t, n, 2] standard deviation of the position, in [-1, 1] units; between
            sightings and beyond them, the nearest sighting's.
    """

    position: Tensor
    code: Tensor
    seen: Tensor
    left: Tensor
    deviation: Tensor

    def __len__(self) -> int:
        return len(self.position)


def encode_code(particles: Particles) -> Tensor:
    """Particles [...] to codes [..., k, d + 3]."""
    logit = torch.logit(particles.transparency, eps=1e-4).clamp(-LOGIT, LOGIT)
    extra = torch.stack([particles.scale.log(), particles.depth, logit], -1)
    return torch.cat([particles.appearance, extra], -1)


def decode_code(position: Tensor, code: Tensor, alive: Tensor) -> Particles:
    """Positions [..., k, 2] and codes [..., k, d + 3] to particles without uncertainty.

    Args:
        alive: [..., k] bool; the other rows become wholly transparent.
    """
    appearance, extra = code[..., :-3], code[..., -3:]
    return Particles(
        position=position,
        log_variance=torch.full_like(position, -14.0),
        appearance=appearance,
        transparency=extra[..., 2].sigmoid() * alive,
        scale=extra[..., 0].exp(),
        depth=extra[..., 1],
    )


def track(
    particles: Particles,
    size: tuple[int, int],
    config: LinkConfig | None = None,
    motion: Motion = constant_velocity,
) -> Tracks:
    """Link the particles of one video.

    Args:
        particles: [t, k, ...].
        size: (h, w) of the frames.
        config: how to link.
        motion: where tracks are expected; see `dynamics.motion` for the model's own.

    Returns:
        Tracks with a row for each identity, in the order of birth.
    """
    pixels = to_pixels(particles.position, *size).numpy()
    looks = torch.cat([particles.appearance, particles.scale.log()[..., None]], -1).numpy()
    live = particles.transparency.numpy() > LIVE
    spread = looks[live].std(0) + 1e-6 if live.any() else np.ones(looks.shape[-1])
    half = torch.tensor([size[1], size[0]]) / 2
    deviation = (particles.log_variance / 2).exp()
    sigma = (deviation * half).square().mean(-1).sqrt().numpy()
    identities = link(
        pixels,
        looks / np.maximum(spread, FLAT),
        particles.transparency.numpy(),
        float(max(size)),
        config,
        sigma,
        motion,
    )
    t, n = len(identities), int(identities.max(initial=-1)) + 1
    code = encode_code(particles)
    position_rows = torch.zeros(t, n, 2)
    code_rows = torch.zeros(t, n, code.shape[-1])
    deviation_rows = torch.zeros(t, n, 2)
    seen = torch.zeros(t, n, dtype=torch.bool)
    ids = torch.from_numpy(identities)
    frame, slot = (ids >= 0).nonzero(as_tuple=True)
    row = ids[frame, slot]
    position_rows[frame, row] = particles.position[frame, slot]
    code_rows[frame, row] = code[frame, slot]
    deviation_rows[frame, row] = deviation[frame, slot]
    seen[frame, row] = True
    position = fill(position_rows, seen)
    left = has_left(position, seen)
    code_rows = of_nearest_sighting(code_rows, seen)
    code_rows[..., -1] = torch.where(left, -LOGIT, code_rows[..., -1])
    return Tracks(position, code_rows, seen, left, of_nearest_sighting(deviation_rows, seen))


def has_left(position: Tensor, seen: Tensor) -> Tensor:
    """Which particles have moved out of the frame: [t, n] bool.

    One has left after its last sighting, if its path, carried on, leaves the frame soon: what
    was last seen far from the border is only hidden.

    Args:
        position: [t, n, 2] from `fill`.
        seen: [t, n] bool.
    """
    after = seen.flip(0).cumsum(0).flip(0) == 0  # (t, n), past the last sighting
    soon = after & (after.cumsum(0) <= LEAVING)
    out = (soon & (position.abs() > 1).any(-1)).any(0)
    return after & out


def fill(position: Tensor, seen: Tensor) -> Tensor:
    """Positions [t, n, 2] with the unseen ones interpolated, or carried on beyond the ends."""
    out = position.clone()
    for row in range(position.shape[1]):
        frames = seen[:, row].nonzero()[:, 0].numpy()
        if not len(frames):
            continue
        known = position[frames, row].numpy()
        first, last = frames[0], frames[-1]
        every = np.arange(len(position))
        for axis in range(2):
            line = np.interp(every, frames, known[:, axis])
            if len(frames) > 1:
                span = min(STRIDE, len(frames) - 1)
                before = (known[span] - known[0])[axis] / (frames[span] - frames[0])
                after = (known[-1] - known[-1 - span])[axis] / (frames[-1] - frames[-1 - span])
                line[:first] = known[0, axis] + before * (every[:first] - first)
                line[last + 1 :] = known[-1, axis] + after * (every[last + 1 :] - last)
            out[:, row, axis] = torch.from_numpy(line)
    return out


def of_nearest_sighting(code: Tensor, seen: Tensor) -> Tensor:
    """Codes [t, n, f], each unseen one replaced by the nearest sighting's, the earlier of two."""
    t = len(code)
    now = torch.arange(t)[:, None].expand(seen.shape)
    before = torch.where(seen, now, -2 * t).cummax(0).values
    after = torch.where(seen, now, 3 * t).flip(0).cummin(0).values.flip(0)
    nearest = torch.where(after - now < now - before, after, before).clamp(0, t - 1)  # (t, n)
    return code.gather(0, nearest[..., None].expand_as(code))


def remembered(tracks: Tracks, memory: int = LinkConfig.memory) -> Tensor:
    """Which identities still live at the last frame: [n] bool.

    Linking kept them until then: they have not been out of sight for more than `memory` frames.
    """
    return tracks.seen[-memory - 1 :].any(0)


def choose_rows(tracks: Tracks, rows: int) -> list[int]:
    """The identities of a context that get a row: those in view, those remembered, those seen most.

    An identity seen in less than three frames, and not in the last, was no object. One that is not
    remembered any more is drawn in the context alone.
    """
    often, now = tracks.seen.sum(0), tracks.seen[-1]
    rank = now.int() + remembered(tracks).int()
    order = (often + len(tracks) * 2 * rank).argsort(descending=True, stable=True)
    return [int(i) for i in order if now[i] or often[i] > 2][:rows]


def context_state(tracks: Tracks, chosen: list[int], history: int, rows: int) -> State:
    """What is known at the last frame of a context.

    Args:
        tracks: of the context's frames alone.
        chosen: identities, from `choose_rows`.
        history: h, the frames that the dynamics see.
        rows: n, at least len(chosen); the last ones stay empty.

    Returns:
        A State with b = 1; row i is identity chosen[i], alive if it is remembered.
    """
    t = len(tracks)
    position = torch.zeros(1, history, rows, 2)
    seen = torch.zeros(1, history, rows)
    code = torch.zeros(1, rows, tracks.code.shape[-1])
    for slot, row in enumerate(chosen):
        position[0, :, slot] = last_frames(tracks.position[:, row], history)
        seen[0, -min(t, history) :, slot] = tracks.seen[-history:, row].float()
        last = int(tracks.seen[:, row].nonzero()[-1])
        code[0, slot] = tracks.code[last, row]
    alive = torch.zeros(1, rows, dtype=torch.bool)
    alive[0, : len(chosen)] = remembered(tracks)[chosen]
    return State(position, seen, code, alive)


def last_frames(path: Tensor, history: int) -> Tensor:
    """The last `history` frames of a path [t, 2]; a shorter one is carried on backwards."""
    if len(path) >= history:
        return path[-history:]
    velocity = path[1] - path[0] if len(path) > 1 else torch.zeros(2)
    back = torch.arange(history - len(path), 0, -1)[:, None]
    return torch.cat([path[0] - velocity * back, path])
