"""Why a forecast went wrong, object by object, in plain words."""

from __future__ import annotations

import numpy as np
from motmetrics import MOTAccumulator

from data.videos import Truth
from dlp.particles import LIVE
from pipelines.forecast import Forecast
from pipelines.metrics import TOLERANCE, Followed, position_error, track_error
from pipelines.results import EvaluationResult
from pipelines.spread import COUNT_OFF, followed_rows

LATE = 2
"""Steps that a particle may come after its object came into view, or leave before it leaves."""
STRAYS = 2
"""At most so many particles on nothing are told of."""
HEAVY = 0.3
"""Share of the squared error from which on an object is named for it."""
REASONS = 4
"""At most so many sentences stand beside a video in a report."""


def why(result: EvaluationResult, index: int) -> str:
    """What a report says beside a video: its troubles, or why none are told."""
    if result.troubles[index]:
        return "; ".join(result.troubles[index][:REASONS])
    off = result.particles.get(COUNT_OFF)
    if off is None or np.isnan(off[index]):
        return "not known: the video has no true tracks"
    return "no object was lost or missed"


def troubles(
    followed: Followed,
    whole: Forecast,
    truth: Truth,
    side: int,
    switched: dict[int, int] | None = None,
) -> list[str]:
    """What happened to each object that the forecast is wrong about, the worst first.

    Args:
        followed: which row was held to which object.
        whole: 1 + h frames, the first is the context's last; frames are not looked at.
        truth: of the same 1 + h frames.
        side: the frame's longer one, pixels.
        switched: object to the frame of the context, from 1 on, where its particle changed.
    """
    found: list[tuple[float, str]] = []
    position = followed_rows(whole.position, whole.identity)
    rows = zip(followed.particle.tolist(), followed.target.tolist(), strict=True)
    for index, (row, target) in enumerate(rows):
        error, there = followed.error[:, index], truth.visible[1:, target]
        allowed = max(TOLERANCE * side, float(truth.radius[0, target]))
        held = whole.identity[:, row] == whole.identity[0, row]  # (1 + h,)
        gone = ~held[1:] & there
        if gone.sum() <= LATE and not there[-1]:
            gone[:] = False  # they left together
        far = np.flatnonzero((error > allowed) | gone)
        if not len(far):
            continue
        step, most = int(far[0]) + 1, float(np.nanmax(error))
        reason = _reason(position[:, row], held, target, step, truth, allowed)
        found.append((most, f"object {target} {reason}, up to {most:.1f} px off"))
    sentences = [text for _, text in sorted(found, reverse=True)]
    missed = np.setdiff1d(np.flatnonzero(truth.visible[0]), followed.target)
    sentences += [f"object {i} had no particle when the context ended" for i in missed.tolist()]
    sentences += _late(whole, truth, side)
    sentences += [
        f"object {i} changed its particle at frame {frame} of the context"
        for i, frame in (switched or {}).items()
    ]
    return sentences + _strays(followed, whole, truth, side)


def heaviest(prediction: np.ndarray, true: np.ndarray, mask: np.ndarray) -> list[str]:
    """The object on whose pixels most of the squared error lies, if that is a good part of it.

    An object may be where it should and still be drawn as another: no position tells that.

    Args:
        prediction, true: [h, height, width, 3] uint8.
        mask: [h, height, width] of the truth, i + 1 where object i is.
    """
    error = ((prediction.astype(np.float64) - true) ** 2).sum(-1)
    shares = np.bincount(mask.ravel(), error.ravel()) / max(error.sum(), 1.0)
    if len(shares) < 2 or (most := float(shares[1:].max())) < HEAVY:
        return []
    return [f"{100 * most:.0f} % of the squared error lies on object {shares[1:].argmax()}"]


def context_switches(matched: MOTAccumulator, context: int) -> dict[int, int]:
    """Object to the first frame, from 1 on, at which its particle changed, within the context.

    Args:
        matched: particles matched to objects frame by frame, from `pipelines.tracking.follow`.
        context: frames that were seen.
    """
    events = matched.mot_events
    first: dict[int, int] = {}
    for (frame, _), which in events[events["Type"] == "SWITCH"]["OId"].items():
        if frame < context:
            first.setdefault(int(which), int(frame) + 1)
    return first


def _reason(
    path: np.ndarray, held: np.ndarray, target: int, step: int, truth: Truth, allowed: float
) -> str:
    """What befell one object whose particle is gone or too far from it first at `step`.

    Args:
        path: [1 + h, 2] of its particle.
        held: [1 + h] bool, whether the particle is still there.
        target: the object.
        step: 1 to h.
        truth: of the 1 + h frames.
        allowed: pixels that a particle may be off.
    """
    if not held[step]:
        return f"was taken for gone before step {step}"
    other = _taken_by(path[step:], held[step:], target, truth.at(slice(step, None)), allowed)
    if other is not None:
        return f"lost its particle to object {other}, first too far at step {step}"
    if step == 1:
        return "was off from the start"
    return f"drifted away, first too far at step {step}"


def _taken_by(
    path: np.ndarray, held: np.ndarray, target: int, truth: Truth, allowed: float
) -> int | None:
    """The other object that a particle went over to, the one it was on longest; None if none.

    It is on another object where it is nearer to that than half of what is allowed, and nearer
    than to its own. It went over if it is so in most steps, or at the last one at which the other
    object is visible. Arguments as in `_reason`, from the first step that is too far.
    """
    n = truth.position.shape[1]
    away = track_error(np.repeat(path[:, None], n, 1), truth, np.arange(n))  # (s, n)
    away = np.where(held[:, None], np.nan_to_num(away, nan=np.inf), np.inf)
    on = (away < allowed / 2) & (away < away[:, target, None])
    on[:, target] = False
    together = truth.visible & held[:, None]
    last = len(path) - 1 - together[::-1].argmax(0)  # (n,); where they never are, `on` is False
    over = (on.mean(0) > 0.5) | on[last, np.arange(n)]
    steps = np.where(over, on.sum(0), 0)
    return int(steps.argmax()) if steps.any() else None


def _late(whole: Forecast, truth: Truth, side: int) -> list[str]:
    """Of each object that came into view later: found too late, or never.

    Found is an object that a live particle is paired with, as at the end of the context: one
    particle finds one object. Steps at which it is hidden do not count as late.
    """
    later = np.flatnonzero(~truth.visible[0] & truth.visible[1:].any(0)).tolist()
    if not later:
        return []
    found = np.zeros(truth.visible.shape, bool)  # (1 + h, n)
    for t in range(1, len(found)):
        now = slice(t, t + 1)
        pairs = position_error(whole.position[now], whole.transparency[now], truth.at(now), side)
        found[t, pairs.target] = True
    sentences = []
    for i in later:
        steps = np.flatnonzero(truth.visible[:, i])
        hit = np.flatnonzero(found[steps, i])
        if (hit[0] if len(hit) else len(steps)) <= LATE:
            continue
        end = f"found at step {steps[hit[0]]}" if len(hit) else "never found"
        sentences.append(f"object {i} came into view at step {steps[0]} and was {end}")
    return sentences


def _strays(followed: Followed, whole: Forecast, truth: Truth, side: int) -> list[str]:
    """Particles held to no object that are on nothing for most of their life, the longest first.

    A hidden object is something too, where its place is known.
    """
    reach = np.maximum(TOLERANCE * side, truth.radius)[:, None]  # (1 + h, 1, n)
    away = np.linalg.norm(whole.position[:, :, None] - truth.position[:, None], axis=-1)
    alone = ~(away <= reach).any(2)  # (1 + h, k); a place that is NaN is on nothing
    live = np.where(whole.transparency > LIVE, whole.identity, -1)
    known = whole.identity[0, followed.particle]
    found: list[tuple[int, str]] = []
    for who in np.setdiff1d(live, [-1, *known.tolist()]).tolist():
        steps, rows = np.nonzero(live == who)
        off = alone[steps, rows]
        if off.mean() <= 0.5:
            continue
        if steps[0] == 0:
            text = "a particle of the context is where nothing is"
        elif off[0]:
            text = f"a particle appeared at step {steps[0]} where nothing is"
        else:
            text = f"a particle appeared at step {steps[0]} and soon was where nothing is"
        found.append((int(off.sum()), text))
    found.sort(key=lambda one: -one[0])
    return [text for _, text in found[:STRAYS]]
