import numpy as np
import pytest

from data.videos import Truth
from pipelines.forecast import Forecast
from pipelines.metrics import position_error
from pipelines.results import EvaluationResult, Scores
from pipelines.spread import COUNT_OFF
from pipelines.tracking import follow
from pipelines.troubles import context_switches, heaviest, troubles, why

STEPS, SIDE = 6, 64


def scene(paths: np.ndarray, visible: np.ndarray | None = None) -> Truth:
    """Truth of objects [t, n, 2]."""
    shape = paths.shape[:2]
    seen = np.ones(shape, bool) if visible is None else visible
    return Truth(paths, seen, np.full(shape, 2.0))


def told(position: np.ndarray, truth: Truth, identity: np.ndarray | None = None) -> list[str]:
    who = np.tile(np.arange(position.shape[1]), (STEPS, 1)) if identity is None else identity
    live, nothing = (who >= 0).astype(float), np.zeros((STEPS, 0))
    followed = position_error(position, live, truth, SIDE)
    whole = Forecast(nothing, position, live, nothing, who)
    return troubles(followed, whole, truth, SIDE)


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
        "object 2 came into view at step 3 and was never found",
    ]


def test_one_that_vanished_on_a_thing_at_rest() -> None:
    paths = np.stack([line(10, 0)], 1)
    identity = np.zeros((STEPS, 1), int)
    identity[4:] = -1
    assert told(paths, scene(paths), identity) == [
        "object 0 was taken for gone before step 4, up to 0.0 px off"
    ]


def entering(came: int, born: int, left: int = STEPS) -> list[str]:
    """Of a second object that comes at one step, and its particle at another."""
    paths = np.stack([line(10, 1), line(40, 1)], 1)
    visible, who = np.ones((STEPS, 2), bool), np.tile([0, 1], (STEPS, 1))
    visible[:came, 1], visible[left:, 1] = False, False
    who[:, 1] = -1
    who[born:, 1] = 7
    return told(paths, scene(paths, visible), who)


@pytest.mark.parametrize("late", [0, 1, 2])
def test_one_that_came_later_and_was_found_in_time_is_no_trouble(late: int) -> None:
    assert entering(2, 2 + late) == []


def test_one_that_came_later_and_was_found_late_or_never() -> None:
    assert entering(2, 5) == ["object 1 came into view at step 2 and was found at step 5"]
    assert entering(1, STEPS) == ["object 1 came into view at step 1 and was never found"]
    assert entering(4, STEPS) == []  # not late yet when the forecast ends
    assert entering(2, STEPS, left=4) == []  # nor when it has left again


def test_another_objects_particle_that_passes_by_does_not_find_it() -> None:
    paths = np.stack([line(10, 1), line(12, 1)], 1)
    visible = np.ones((STEPS, 2), bool)
    visible[0, 1] = False
    said = told(paths[:, :1], scene(paths, visible))
    assert said == ["object 1 came into view at step 1 and was never found"]


def crossing(visible: np.ndarray | None = None) -> list[str]:
    """The only particle is on the second object at steps 3 and 4, and on nothing at the last."""
    paths = np.stack([line(10, 0), line(40, 0)], 1)
    path = paths[:, :1].copy()
    path[3:5] = paths[3:5, 1:]
    path[5] = 60
    return told(path, scene(paths, visible))


def test_a_switch_is_told_of_most_steps_since_not_of_the_last_alone() -> None:
    assert crossing()[0].startswith("object 0 lost its particle to object 1, first too far")


def test_a_switch_is_told_where_the_other_object_was_last_visible() -> None:
    paths = np.stack([line(10, 0), line(40, 0)], 1)
    path = paths[:, :1].copy()
    path[2:] = 60
    path[4] = paths[4, 1]
    visible = np.ones((STEPS, 2), bool)
    drifted, taken = "object 0 drifted away", "object 0 lost its particle to object 1"
    assert told(path, scene(paths, visible))[0].startswith(drifted)
    visible[5, 1] = False
    assert told(path, scene(paths, visible))[0].startswith(taken)


def test_a_particle_that_left_with_its_object_is_no_trouble() -> None:
    paths = np.stack([line(10, 1)], 1)
    visible, who = np.ones((STEPS, 1), bool), np.zeros((STEPS, 1), int)
    who[3:] = -1
    visible[5:] = False
    assert told(paths, scene(paths, visible), who) == []
    visible[:] = True
    assert told(paths, scene(paths, visible), who)[0].startswith("object 0 was taken for gone")


def test_particles_on_nothing_are_told_last_and_two_at_most() -> None:
    paths = np.stack([line(10, 1), line(20, 1)], 1)
    rows = np.concatenate([paths, np.full((STEPS, 3, 2), 60.0)], 1)
    rows[:, 1] += np.arange(STEPS)[:, None] * 2
    rows[4, 4] = paths[4, 0]  # born on an object, then on nothing
    who = np.tile(np.arange(5), (STEPS, 1))
    who[:2, 2], who[:3, 3], who[:3, 4] = -1, -1, -1
    said = told(rows, scene(paths), who)
    assert [text.split(",")[0] for text in said] == [
        "object 1 drifted away",
        "a particle appeared at step 2 where nothing is",
        "a particle appeared at step 3 where nothing is",
    ]
    who[1:, 2:4] = -1
    who[:2, 2] = -1
    rows[3, 4] = paths[3, 0]
    rows[4, 4] = 60
    assert told(rows, scene(paths), who)[1:] == [
        "a particle appeared at step 3 and soon was where nothing is"
    ]


def test_a_particle_on_an_object_that_is_hidden_is_not_on_nothing() -> None:
    paths = np.stack([line(10, 1), line(40, 1)], 1)
    visible = np.ones((STEPS, 2), bool)
    visible[:, 1] = False
    assert told(paths, scene(paths, visible)) == []
    paths[:, 1] = 5
    astray = np.stack([line(10, 1), line(40, 1)], 1)
    assert told(astray, scene(paths, visible)) == ["a particle of the context is where nothing is"]


def test_a_switch_inside_the_context_is_told_of_its_first_frame() -> None:
    paths = np.stack([line(10, 1), line(40, 1)], 1)
    who = np.tile([0, 1], (STEPS, 1))
    who[2:, 1] = 5
    who[4:, 0] = 6
    matched = follow(paths, who, scene(paths), 3.0)
    assert context_switches(matched, 4) == {1: 3}
    assert context_switches(matched, STEPS) == {1: 3, 0: 5}


def test_a_video_without_tracks_does_not_sound_as_if_all_were_well() -> None:
    one = np.ones((3, 4))
    result = EvaluationResult(
        Scores(psnr=one, psnr_moving=one),
        {},
        one[:, 0],
        {COUNT_OFF: np.array([0.0, np.nan, 1.0])},
        names=["a", "b", "c"],
        troubles=[[], [], ["x", "y", "z", "u", "v"]],
    )
    assert [why(result, index) for index in range(3)] == [
        "no object was lost or missed",
        "not known: the video has no true tracks",
        "x; y; z; u",
    ]


def test_the_object_with_most_of_the_squared_error_is_named() -> None:
    true, mask = np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 4, 4), np.uint8)
    mask[:, 0], mask[:, 1, :2] = 1, 3
    prediction = true.copy()
    assert heaviest(prediction, true, mask) == []
    prediction[:, 0, 0], prediction[:, 1, 0], prediction[:, 3, 3] = 10, 20, 20  # 1, 4 and 4 parts
    assert heaviest(prediction, true, mask) == ["44 % of the squared error lies on object 2"]
    prediction[:, 3] = 20  # 16 parts of nothing
    assert heaviest(prediction, true, mask) == []
    assert heaviest(prediction, true, 0 * mask) == []
