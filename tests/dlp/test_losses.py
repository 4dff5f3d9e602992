import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from dlp.losses import centroid_offset, chamfer_kl, gaussian_kl, not_shadow, position_likelihood


def test_the_divergence_is_that_of_torch() -> None:
    mean_q, log_q, mean_p, log_p = torch.randn(4, 3, 2)
    expected = kl_divergence(
        Normal(mean_q, (log_q / 2).exp()), Normal(mean_p, (log_p / 2).exp())
    ).sum(-1)
    assert torch.allclose(gaussian_kl(mean_q, log_q, mean_p, log_p), expected, atol=1e-5)


def test_the_divergence_of_two_known_gaussians() -> None:
    one, zero = torch.ones(1), torch.zeros(1)
    # KL(N(1, 1) || N(0, 1)) = 1/2.
    assert math.isclose(float(gaussian_kl(one, zero, zero, zero)), 0.5, abs_tol=1e-6)


def test_chamfer_equals_its_definition_spelled_out() -> None:
    torch.manual_seed(0)
    mean_q, log_q = torch.randn(2, 4, 2), torch.randn(2, 4, 2)
    mean_p, log_p = torch.randn(2, 7, 2), torch.randn(2, 7, 2)
    for b in range(2):
        pair = [
            [
                float(gaussian_kl(mean_q[b, i], log_q[b, i], mean_p[b, j], log_p[b, j]))
                for j in range(7)
            ]
            for i in range(4)
        ]
        forward = sum(min(row) for row in pair)
        backward = sum(min(pair[i][j] for i in range(4)) for j in range(7))
        found = float(chamfer_kl(mean_q, log_q, mean_p, log_p)[b])
        assert math.isclose(found, forward + backward, rel_tol=1e-5)


def test_chamfer_knows_no_order_and_is_zero_for_equal_sets() -> None:
    mean, log = torch.randn(1, 5, 2), torch.randn(1, 5, 2)
    order = torch.tensor([4, 2, 0, 1, 3])
    assert float(chamfer_kl(mean, log, mean[:, order], log[:, order])) < 1e-5
    other = torch.randn(1, 3, 2)
    one = chamfer_kl(mean, log, other, torch.zeros(1, 3, 2))
    assert torch.allclose(
        one, chamfer_kl(mean[:, order], log[:, order], other, torch.zeros(1, 3, 2))
    )


def test_the_centroid_of_one_corner_and_of_an_even_mask() -> None:
    assert float(centroid_offset(torch.ones(8, 8))) < 1e-6
    corner = torch.zeros(8, 8)
    corner[0, 7] = 1.0
    # The corner pixel's centre lies at (7/8, -7/8).
    assert math.isclose(float(centroid_offset(corner)), 2 * (7 / 8) ** 2, rel_tol=1e-2)


def test_the_likelihood_of_a_better_position_teaches_the_variance_alone() -> None:
    position = torch.tensor([[[0.1, 0.0]]], requires_grad=True)
    log_variance = torch.full((1, 1, 2), math.log(0.04), requires_grad=True)
    target = torch.tensor([[[0.3, 0.2]]], requires_grad=True)
    found = position_likelihood(position, log_variance, target)
    assert torch.allclose(found, torch.tensor(1 + math.log(0.04)))  # both are one sigma off
    found.sum().backward()
    assert position.grad is None
    assert target.grad is None
    assert log_variance.grad is not None
    assert torch.allclose(log_variance.grad, torch.zeros(1, 1, 2), atol=1e-6)  # its optimum


def test_a_shadow_is_the_ground_darker_and_a_thing_is_not() -> None:
    ground = torch.tensor([0.6, 0.6, 0.5])
    colours = {
        "half shadow": 0.6 * ground,
        "ground": ground,
        "red": torch.tensor([0.8, 0.1, 0.1]),
        "black": torch.zeros(3),
        "brighter": 1.5 * ground,
    }
    rgb = torch.stack(list(colours.values()), -1)[None, None, :, None]  # (1, 1, 3, 1, 5)
    weight = not_shadow(rgb, torch.ones(1, 1, 1, 5), ground[:, None, None].expand_as(rgb))[0, 0, 0]
    found = dict(zip(colours, weight.tolist(), strict=True))
    assert found["half shadow"] == found["ground"] == pytest.approx(0.02)
    assert min(found["red"], found["black"], found["brighter"]) > 0.8
    clear = not_shadow(rgb, torch.zeros(1, 1, 1, 5), ground[:, None, None].expand_as(rgb))
    assert clear.max() == pytest.approx(0.02)  # what is not drawn is no thing
