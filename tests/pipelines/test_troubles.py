import numpy as np

from data.videos import Truth
from pipelines.metrics import position_error
from pipelines.troubles import troubles

STEPS = 6


def scene(paths: np.ndarray, visible: np.ndarray | None = None) -> Truth:
    """Truth of objects [t, n, 2]."""
    shape = paths.shape[:2]
    seen = np.ones(shape, bool) if visible is None else visible
    return Truth(paths, seen, np.full(shape, 2.0))


def told(position: np.ndarray, truth: Truth, identity: np.ndarray | None = None) -> list[str]:
    followed = position_error(position, np.ones(position.shape[:2]), truth, 64)
    who = np.tile(np.arange(position.shape[1]), (STEPS, 1)) if identity is None else identity
    return troubles(followed, position, who, truth, 3.0)


def line(y: float, speed: float) -> np.ndarray:
    """[t, 2] from x = 10 at a speed."""
    return np.stack([10 + speed * np.arange(STEPS), np.full(STEPS, y)], -1)


def test_a_perfect_forecast_has_none() -> None:
    paths = np.stack([line(10, 1), line(40, 2)], 1)
    assert told(paths, scene(paths)) == []


def test_one_that_drifts() -> None:
    paths = np.stack([line(10, 1), line(40, 2)], 1)
    off = np.stack([line(10, 1), line(40, 3)], 1)
    assert told(off, scene(paths)) == [
        "object 1 drifted away, first too far at step 4, up to 5.0 px off"
    ]


def test_one_that_was_taken_for_gone() -> None:
    paths = np.stack([line(10, 4)], 1)
    stood = paths.copy()
    stood[2:] = stood[1]
    identity = np.zeros((STEPS, 1), int)
    identity[2:] = -1
    (said,) = told(stood, scene(paths), identity)
    assert said == "object 0 was taken for gone before step 2, up to 16.0 px off"


def test_one_whose_particle_went_over_to_another() -> None:
    meet = np.stack([line(10, 2), line(16, 2)], 1)
    swapped = meet.copy()
    swapped[3:, 0] = meet[3:, 1]
    (said,) = told(swapped[:, :1], scene(meet))[:1]
    assert (
        said == "object 0 lost its particle to object 1, first too far at step 3, up to 6.0 px off"
    )


def test_one_that_nobody_found_and_one_that_came_later() -> None:
    paths = np.stack([line(10, 1), line(40, 1), line(60, 1)], 1)
    visible = np.ones((STEPS, 3), bool)
    visible[:3, 2] = False
    said = told(paths[:, :1], scene(paths, visible))
    assert said == [
        "object 1 had no particle when the context ended",
        "object 2 came into view at step 3",
    ]


def test_one_that_vanished_on_a_thing_at_rest() -> None:
    paths = np.stack([line(10, 0)], 1)
    identity = np.zeros((STEPS, 1), int)
    identity[4:] = -1
    assert told(paths, scene(paths), identity) == [
        "object 0 was taken for gone before step 4, up to 0.0 px off"
    ]
