"""Windows of tracks that the dynamics are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dynamics.state import State
from dynamics.tracks import Tracks, fill


@dataclass(frozen=True)
class Window:
    """A history and what came after it.

    Args:
        state: the history, [b, h, n, ...].
        position: [b, u, n, 2] targets.
        code: [b, u, n, d + 3] targets.
        mask: [b, u, n] 1.0 where the particle was seen, else 0.0.
        left: [b, u, n] 1.0 where it has moved out of the frame: the target goes on beyond it.
    """

    state: State
    position: Tensor
    code: Tensor
    mask: Tensor
    left: Tensor


def window_starts(tracks: Sequence[Tracks], history: int, horizon: int) -> Tensor:
    """Every (video, first frame) whose window of history + horizon frames fits: [m, 2] int64."""
    length = history + horizon
    starts = [(v, t) for v, track in enumerate(tracks) for t in range(len(track) - length + 1)]
    return torch.tensor(starts, dtype=torch.long).reshape(-1, 2)


def gather(
    tracks: Sequence[Tracks], starts: Tensor, history: int, horizon: int, rows: int
) -> Window:
    """The windows that begin at `starts` [b, 2].

    A window's particles are those seen in one of the history's last two frames, those seen most
    often first, at most `rows` of them. A history knows no sighting after it: where a particle was
    when it was not seen is worked out from those up to its end.
    """
    b, length = len(starts), history + horizon
    codes = tracks[0].code.shape[-1]
    # In numpy: these are many small cuts, each several times faster than torch's.
    position = np.zeros((b, length, rows, 2), np.float32)
    code = np.zeros((b, length, rows, codes), np.float32)
    seen, left = np.zeros((2, b, length, rows), np.float32)
    alive = np.zeros((b, rows), bool)
    for i, (video, start) in enumerate(starts.tolist()):
        track, part = tracks[video], slice(start, start + length)
        present = track.seen.numpy()[part]
        usable = np.flatnonzero(present[history - 2 : history].any(0))
        often = np.argsort(-present[:history, usable].sum(0), kind="stable")
        chosen = usable[often[:rows]]
        n = len(chosen)
        position[i, :, :n] = track.position.numpy()[part, chosen]
        for row in np.flatnonzero(~present[:history, chosen].all(0)):
            # Where it was before it was seen must not be worked out from what came after.
            past = slice(0, start + history), chosen[row : row + 1]
            filled = fill(track.position[past], track.seen[past])
            position[i, :history, row] = filled[start:, 0]
        code[i, :, :n] = track.code.numpy()[part, chosen]
        seen[i, :, :n] = present[:, chosen]
        left[i, :, :n] = track.left.numpy()[part, chosen]
        alive[i, :n] = True
    where, what, sighted, gone = map(torch.from_numpy, (position, code, seen, left))
    known = sighted[:, :history]
    # The last sighting is in the history's last two frames. What tracks tell of a frame after it,
    # that the particle has left, comes of what the history cannot know.
    lately = known[:, -1, :, None] > 0
    now = torch.where(lately, what[:, history - 1], what[:, history - 2])
    state = State(where[:, :history], known, now, torch.from_numpy(alive))
    return Window(state, *(x[:, history:] for x in (where, what, sighted, gone)))


def with_noise(state: State, pixels: Tensor, side: Tensor) -> State:
    """The encoder's jitter on the history; the target stays where it is (GNS, appendix B).

    Args:
        pixels: standard deviation, a scalar.
        side: [2], pixels a unit of x and of y.
    """
    noise = torch.randn_like(state.position) * pixels / side
    return replace(state, position=state.position + noise)


def with_other_looks(window: Window, deviation: Tensor) -> Window:
    """Each particle in an appearance that is a little off its own, all through the window.

    What is foreseen must follow from where things are and how they move: in a short video the
    model learns by heart who went where, and it knows them by their looks.

    Args:
        deviation: [d] standard deviation of what is added to each feature of the appearance.
    """
    d = len(deviation)
    shift = torch.zeros_like(window.state.code)
    shift[..., :d] = torch.randn_like(shift[..., :d]) * deviation
    state = replace(window.state, code=window.state.code + shift)
    return replace(window, state=state, code=window.code + shift[:, None])
