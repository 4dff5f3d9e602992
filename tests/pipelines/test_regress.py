"""Regression of landmarks: known answers, and the command as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.regress import Faces, confident, curve, error, fit, predict
from pipelines.regress_keypoints import chosen, uncertainty
from tests.data.faces_files import celeba
from tests.pipelines.commands import DLP, particlecast, refused

PRIOR = ["--dlp.n_prior", "6", "--dlp.glimpse", "8"]
QUICK = [*DLP, *PRIOR, "--stage1.batch", "4", "--max-steps", "4", "--stage1.evaluate_every", "2"]


def made(count: int, seed: int = 0) -> Faces:
    """Six particles, of which landmarks are a linear map; the last two particles are noise."""
    rng = np.random.default_rng(seed)
    position = rng.uniform(10, 50, (count, 6, 2))
    weight = np.random.default_rng(9).normal(size=(8, 10))
    truth = (position[:, :4].reshape(count, 8) @ weight).reshape(count, 5, 2)
    log_variance = np.broadcast_to(np.array([-5.0, -6, -4, -5, -1, -2])[:, None], (count, 6, 2))
    return Faces(position, log_variance, rng.normal(size=(count, 6, 3)), truth)


def test_the_error_is_the_distance_over_that_between_the_eyes() -> None:
    truth = np.array([[[10.0, 20], [30, 20], [20, 30], [12, 40], [28, 40]]] * 2)
    truth[1] *= 2  # a face of twice the size
    predicted = truth.copy()
    predicted[0, 2] += [3, 4]
    predicted[1, 4] += [0, 10]
    # 5 of 20 px and 10 of 40 px, of ten landmarks: 5 %.
    assert error(predicted, truth) == pytest.approx(5.0)


def test_a_linear_map_is_found_from_enough_images_and_not_from_too_few() -> None:
    train, test = made(100), made(50, 1)
    weight = fit(train.inputs(), train.truth)
    assert error(predict(test.inputs(), weight), test.truth) < 1e-6
    found = curve(train.inputs(), train.truth, test.inputs(), test.truth)
    assert list(found) == [1, 5, 10, 20, 50, 100]
    assert found[20][0] < 1e-6 < 1 < found[5][0]
    assert found[100][1] == 0


def test_there_is_no_intercept_unless_it_is_asked_for() -> None:
    """A landmark that stands still while particles wander about zero needs one."""
    faces = made(200)
    still = np.broadcast_to(np.arange(10.0).reshape(5, 2), faces.truth.shape)
    wandering = Faces(faces.position - 30, faces.log_variance, faces.appearance, still)
    errors = []
    for intercept in (False, True):
        inputs = wandering.inputs(intercept=intercept)
        errors.append(error(predict(inputs, fit(inputs, still)), still))
    assert errors[0] > 10
    assert errors[1] < 1e-6


def test_the_columns_are_positions_then_variances_then_features() -> None:
    faces = made(3)
    assert faces.inputs().shape == (3, 12)
    assert faces.inputs(variance=True).shape == (3, 24)
    whole = faces.inputs(True, True, True)
    assert whole.shape == (3, 43)
    assert np.array_equal(whole[:, :12], faces.position.reshape(3, 12))
    assert np.array_equal(whole[:, 12:24], faces.log_variance.reshape(3, 12))
    assert (whole[:, -1] == 1).all()


def test_the_sure_particles_are_those_of_least_sigma() -> None:
    assert confident(made(3), 0.67).tolist() == [0, 1, 2, 3]
    assert confident(made(3), 0.01).tolist() == [1]
    kept = made(3).inputs(kept=np.array([1, 3]))
    assert np.array_equal(kept, made(3).position[:, [1, 3]].reshape(3, 4))


def test_each_way_of_choosing_takes_its_own_checkpoint() -> None:
    names = ("step", "mean_log_variance", "validation_error", "test_error")
    rows = [dict(zip(names, row, strict=True)) for row in ((1, -3, 9, 8), (2, -5, 7, 7.5))]
    rows.append(dict(zip(names, (3, -4, 6, 7.6), strict=True)))
    assert [row["step"] for row in chosen(rows).values() if row] == [2, 3, 2]


def test_by_uncertainty_no_early_checkpoint_is_chosen_and_none_of_a_model_without_sigma() -> None:
    names = ("step", "mean_log_variance", "validation_error", "test_error")
    figures = [(1, -6, 5, 5), (4, -5.5, 9, 8), (5, -4, 7, 7), (10, -3, 6, 6)]
    rows = [dict(zip(names, row, strict=True)) for row in figures]
    assert [row["step"] for row in chosen(rows).values() if row] == [5, 1, 1]
    best = chosen([row | {"mean_log_variance": None} for row in rows])
    assert best["mean uncertainty"] is None
    assert best["validation error"] == rows[0] | {"mean_log_variance": None}
    one = made(4)
    assert uncertainty(one) == pytest.approx(-23 / 6)
    always = np.full_like(one.log_variance, 2 * np.log(0.1))
    assert uncertainty(Faces(one.position, always, one.appearance, one.truth)) is None


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """CelebA in small, and a masked model trained on it."""
    home = tmp_path_factory.mktemp("faces")
    celeba(home / "celeba")
    given = ["--data", str(home / "celeba"), "--run", str(home / "run")]
    frames = ["--frames.size", "32", "--frames.square", "true"]
    keep = ["--stage1.keep", "5", "--dlp.model", "masked"]
    particlecast("train-dlp", *given, *frames, *QUICK, *keep)
    return given


def images(folder: Path) -> set[str]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return set(events.Tags()["images"])


def test_the_command_regresses_from_mafl_and_tests_on_mafl(
    where: list[str], tmp_path: Path
) -> None:
    particlecast("regress-keypoints", *where, "--out", tmp_path, "--checkpoints")
    found = json.loads((tmp_path / "keypoints.json").read_text())
    assert (found["train_images"], found["test_images"]) == (12, 6)
    assert (found["model"], found["particles"], found["inputs"]) == ("masked", 5, "positions")
    assert found["error"] == found["by_inputs"]["positions"] > 0
    assert found["curve"]["12"][0] == pytest.approx(found["error"])
    assert [row["step"] for row in found["checkpoints"]] == [2, 4]
    text = (tmp_path / "keypoints.md").read_text()
    assert "| DLP (2022) | 30 | and variances | 2.49 |" in text
    assert "Chosen by mean uncertainty: step " in text
    board = Path(where[3]) / "tensorboard"
    assert images(board / "evaluate" / "keypoints") == {"landmarks", "curve"}


def test_options_change_what_is_regressed_from(where: list[str], tmp_path: Path) -> None:
    words = ["--with-variance", "--with-appearance", "--train-images", "8"]
    words += ["--filter-confidence", "0.4", "--with-intercept"]
    particlecast("regress-keypoints", *where, "--out", tmp_path, *words)
    found = json.loads((tmp_path / "keypoints.json").read_text())
    assert (found["train_images"], found["particles"]) == (8, 2)
    assert found["inputs"] == "and both"
    assert found["error"] == found["by_inputs"]["and both"]


def test_training_tells_the_regression_s_error(where: list[str]) -> None:
    events = EventAccumulator(str(Path(where[3]) / "tensorboard" / "stage1"))
    events.Reload()
    assert "landmarks" in events.Tags()["images"]
    points = events.Scalars("stage1/validation/regression_error")
    assert [point.step for point in points] == [2, 4]


def test_mistakes_are_told(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["regress-keypoints", *where, "--out", tmp_path]
    assert "above 0 and at most 1, found 0" in refused(capsys, *words, "--filter-confidence", "0")
    np.save(tmp_path / "plain.npy", np.zeros((3, 4, 32, 32, 3), np.uint8))
    other = ["--data", tmp_path / "plain.npy", *where[2:], "--out", tmp_path]
    assert "no landmarks" in refused(capsys, "regress-keypoints", *other)
