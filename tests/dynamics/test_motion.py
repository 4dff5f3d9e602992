"""The dynamics model as the motion that identity expects."""

import numpy as np
import torch

from dynamics.config import DynamicsConfig
from dynamics.identity import Track, constant_velocity
from dynamics.model import GraphDynamics
from dynamics.motion import LearnedMotion
from dynamics.tracks import encode_code, track
from tests.dynamics.made import particles

SIZE = (64, 64)


def straight(steps: int) -> torch.Tensor:
    start = torch.tensor([[-0.6, -0.4], [0.5, 0.4]])
    way = torch.tensor([[0.03, 0.0], [-0.02, 0.01]])
    return start + torch.arange(steps)[:, None, None] * way


def model() -> GraphDynamics:
    torch.manual_seed(0)
    made = GraphDynamics(DynamicsConfig(history=4, hidden=16), 2, SIZE).eval()
    torch.nn.init.zeros_(made.head[-1].weight)  # type: ignore[arg-type]
    return made  # it coasts exactly


def test_a_coasting_model_expects_what_constant_velocity_does():
    given = particles(straight(12), torch.ones(12, 2))
    motion = LearnedMotion(model(), encode_code(given))
    tracks = []
    for row in range(2):
        path = (straight(6)[:, row].numpy() + 1) * 32 - 0.5
        one = Track(row, path[0], np.zeros(2), (0, row))
        for t in range(1, 6):
            one.see(path[t], np.zeros(2), (t, row), 0.5)
        tracks.append(one)
    assert np.allclose(motion(tracks), constant_velocity(tracks), atol=1e-3)


def test_one_that_was_seen_once_is_expected_where_it_was():
    given = particles(straight(3), torch.ones(3, 2))
    young = Track(0, np.array([10.0, 20.0]), np.zeros(2), (0, 0))
    expected = LearnedMotion(model(), encode_code(given))([young])
    assert expected.tolist() == [[10.0, 20.0]]


def test_linking_by_the_model_keeps_identities_through_a_gap():
    alive = torch.ones(20, 2)
    alive[8:13, 0] = 0
    given = particles(straight(20), alive)
    found = track(given, SIZE, motion=LearnedMotion(model(), encode_code(given)))
    assert found.seen.shape == (20, 2)
    assert found.seen[:, 0].tolist() == (alive[:, 0] > 0).tolist()
