"""Why a forecast went wrong, object by object, in plain words."""

from __future__ import annotations

import numpy as np

from data.videos import Truth
from pipelines.metrics import Followed, track_error


def troubles(
    followed: Followed,
    position: np.ndarray,
    identity: np.ndarray,
    truth: Truth,
    tolerance: float,
) -> list[str]:
    """What happened to each object that the forecast is wrong about, the worst first.

    Args:
        followed: which row was held to which object.
        position: [1 + h, k, 2] pixels, the first step is the context's last frame.
        identity: [1 + h, k], as in a Forecast.
        truth: of the same 1 + h frames.
        tolerance: pixels that a particle may be off its object.
    """
    found: list[tuple[float, str]] = []
    rows = zip(followed.particle.tolist(), followed.target.tolist(), strict=True)
    for index, (row, target) in enumerate(rows):
        error = followed.error[:, index]
        allowed = max(tolerance, float(truth.radius[0, target]))
        gone = (identity[1:, row] != identity[0, row]) & truth.visible[1:, target]
        far = np.flatnonzero((error > allowed) | gone)
        if not len(far):
            continue
        step, most = int(far[0]) + 1, float(np.nanmax(error))
        reason = _reason(row, target, step, position, identity, truth, allowed)
        found.append((most, f"object {target} {reason}, up to {most:.1f} px off"))
    sentences = [text for _, text in sorted(found, reverse=True)]
    visible = truth.visible[0]
    missed = np.setdiff1d(np.flatnonzero(visible), followed.target)
    sentences += [f"object {i} had no particle when the context ended" for i in missed.tolist()]
    later = np.flatnonzero(~visible & truth.visible[1:].any(0))
    for i in later.tolist():
        step = int(truth.visible[1:, i].argmax()) + 1
        sentences.append(f"object {i} came into view at step {step}")
    return sentences


def _reason(
    row: int,
    target: int,
    step: int,
    position: np.ndarray,
    identity: np.ndarray,
    truth: Truth,
    tolerance: float,
) -> str:
    """What befell one object whose particle is gone or too far from it first at `step`."""
    if identity[step, row] != identity[0, row]:
        return f"was taken for gone before step {step}"
    others = [i for i in range(truth.position.shape[1]) if i != target]
    path = np.repeat(position[1:, row, None], len(others), 1)
    away = track_error(path, truth.at(slice(1, None)), np.array(others, int))  # (h, others)
    last, own = away[-1], np.linalg.norm(position[-1, row] - truth.position[-1, target])
    if np.nanmin(np.append(last, np.inf)) < min(tolerance / 2, own):
        other = others[int(np.nanargmin(last))]
        return f"lost its particle to object {other}, first too far at step {step}"
    if step == 1:
        return "was off from the start"
    return f"drifted away, first too far at step {step}"
