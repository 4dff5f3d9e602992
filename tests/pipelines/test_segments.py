import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics.functional.clustering import adjusted_rand_score

from dlp.config import DLPConfig
from dlp.model import DLP
from dlp.particles import Particles
from pipelines.segments import foreground_ari, foreground_miou, segment, whole_clip
from tests.pipelines.commands import SIDE, Trained, particlecast


def frame(text: str) -> np.ndarray:
    """[1, h, w] labels from digits; a dot is -1."""
    rows = [[-1 if c == "." else int(c) for c in line] for line in text.split()]
    return np.array([rows])


TRUE = frame("0000 0112 0112 0000")


@pytest.mark.parametrize("names", [{0: -1, 1: 5, 2: 3}, {0: -1, 1: 0, 2: 1}])
def test_the_true_partition_scores_one_whatever_its_segments_are_called(
    names: dict[int, int],
) -> None:
    found = np.vectorize(names.get)(TRUE)
    assert foreground_ari(found, TRUE)[0] == 1
    assert foreground_miou(found, TRUE)[0] == 1


def test_known_answers_worked_out_by_hand() -> None:
    # Object 1 (four pixels) is halved; object 2 (two pixels) is whole, and 2 pixels too large.
    found = frame("...6 .456 .456 ...6")
    # Pairs together in both: 1 + 1 + 1 = 3; in ours 3; in the truth 6 + 1 = 7; of 15.
    expected = (3 - 3 * 7 / 15) / ((3 + 7) / 2 - 3 * 7 / 15)
    assert foreground_ari(found, TRUE)[0] == pytest.approx(expected)
    assert foreground_miou(found, TRUE)[0] == pytest.approx((2 / 4 + 2 / 4) / 2)
    assert foreground_miou(found, TRUE, twice=True)[0] == pytest.approx((2 / 6 + 2 / 6) / 2)
    assert foreground_miou(TRUE, TRUE, twice=True)[0] == 0.5


def test_the_rand_index_agrees_with_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, (20, 12, 12))
    # From random to nearly the truth, and from one segment to nine.
    wrong = rng.random(true.shape) < np.linspace(0, 1, 20)[:, None, None]
    found = np.where(wrong, rng.integers(-1, 8, true.shape), true)
    for ours, theirs, score in zip(found, true, foreground_ari(found, true), strict=True):
        seen = theirs > 0
        expected = adjusted_rand_score(*(torch.from_numpy(x[seen]) for x in (ours, theirs)))
        assert score == pytest.approx(float(expected), abs=1e-4)


def test_over_a_whole_clip_a_particle_must_stay_on_its_object() -> None:
    true = np.concatenate([TRUE, TRUE])
    rows = np.where(true > 0, true - 1, -1)
    same, traded = np.array([[7, 9], [7, 9]]), np.array([[7, 9], [9, 7]])
    masks = true.reshape(1, -1, true.shape[-1])
    assert foreground_ari(whole_clip(rows, same), masks)[0] == 1
    assert foreground_miou(whole_clip(rows, same), masks)[0] == 1
    # Each frame by itself is perfect; 4 and 2 pixels of 8 and 4 are then with the other one's.
    assert foreground_miou(whole_clip(rows, traded), masks)[0] == pytest.approx(
        (4 / 10 + 2 / 8) / 2
    )
    assert foreground_ari(whole_clip(rows, traded), masks)[0] < 0.1
    assert (foreground_ari(rows, true) == 1).all()


def test_one_segment_for_all_says_nothing() -> None:
    found = np.zeros_like(TRUE)
    assert foreground_ari(found, TRUE)[0] == pytest.approx(0)
    assert foreground_miou(found, TRUE)[0] == pytest.approx((4 / 16) / 2)
    assert foreground_miou(found - 1, TRUE)[0] == 0


def test_where_nothing_is_visible_there_is_no_number() -> None:
    nothing = np.zeros_like(TRUE)
    assert np.isnan(foreground_ari(TRUE, nothing)[0])
    assert np.isnan(foreground_miou(TRUE, nothing)[0])


def test_of_one_object_there_is_nothing_to_tell_apart() -> None:
    one = np.minimum(TRUE, 1)
    for found in (one, np.full_like(TRUE, -1)):  # found whole, or not at all
        assert np.isnan(foreground_ari(found, one)[0])
    assert foreground_miou(one, one)[0] == 1


def test_random_segments_score_about_zero() -> None:
    rng = np.random.default_rng(0)
    true, found = rng.integers(1, 5, (4, 40, 40)), rng.integers(0, 6, (4, 40, 40))
    assert np.abs(foreground_ari(found, true)).max() < 0.02


def test_a_pixel_belongs_to_the_nearer_of_the_particles_that_cover_it() -> None:
    torch.manual_seed(0)
    model = DLP(DLPConfig(particles=3), (32, 32)).eval()
    position = torch.tensor([[[-0.5, 0.0], [-0.4, 0.0], [0.5, 0.0]]])
    one = torch.ones(1, 3)
    particles = Particles(
        position,
        torch.zeros(1, 3, 2),
        torch.zeros(1, 3, model.config.features),
        torch.tensor([[1.0, 1.0, 0.0]]),
        one,
        torch.tensor([[0.0, 3.0, 0.0]]),
    )
    found = segment(model, particles)[0]
    assert found.shape == (32, 32)
    assert found[16, 9] == 1  # both cover it
    assert found[0, 0] == -1
    assert 2 not in found  # wholly transparent


def test_evaluate_tells_them_where_masks_are_known(own: Trained, tmp_path: Path) -> None:
    world = f"synthetic:billiards,videos=3,frames=12,size={SIDE}"
    words = ("--data", world, "--run", own.run, "--context", 8, "--horizon", 4)
    particlecast("evaluate", *words, "--out", tmp_path, "--limit", 1)
    found = json.loads((tmp_path / "report.json").read_text())["per_step"]
    for figure in ("fg_ari", "fg_miou", "fg_miou_twice"):
        assert list(found[figure]["methods"]) == ["model"]
        assert len(found[figure]["methods"]["model"]["per_step"]["mean"]) == 4
    assert "FG-mIoU of the particles' segments" in (tmp_path / "report.md").read_text()
