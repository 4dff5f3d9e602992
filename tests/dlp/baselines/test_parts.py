import math

import torch

from dlp.baselines.keynet import marginal_softmax
from dlp.baselines.zhang import concentration, moments, separation


def test_marginal_softmax_finds_a_row_and_a_column() -> None:
    heat = torch.zeros(1, 2, 4, 8)
    assert torch.allclose(marginal_softmax(heat), torch.zeros(1, 2, 2), atol=1e-6)
    heat[0, 1, 3] += 200.0
    heat[0, 1, :, 1] += 200.0
    assert torch.allclose(marginal_softmax(heat)[0, 1], torch.tensor([-0.625, 0.75]), atol=1e-4)


def test_moments_known_answer() -> None:
    maps = torch.zeros(1, 1, 2, 4)
    maps[0, 0, 1, 0], maps[0, 0, 1, 2] = 3.0, 3.0
    mean, variance = moments(maps)
    assert torch.allclose(mean, torch.tensor([[[-0.25, 0.5]]]), atol=1e-4)
    assert torch.allclose(variance, torch.tensor([[[0.25, 0.0]]]), atol=1e-4)


def test_concentration_known_answer() -> None:
    """sigma 0.2 of [-1, 1] is 0.1 of the side."""
    variance = torch.full((1, 3, 2), 0.04)
    assert torch.allclose(concentration(variance), torch.tensor(3 * 2 * math.pi * math.e * 0.01))


def test_separation_known_answer() -> None:
    """0.08 apart in [-1, 1] is one bandwidth of the side: exp(-1/2) for each of both."""
    position = torch.tensor([[[0.0, 0.0], [0.08, 0.0], [0.9, 0.9]]])
    assert torch.allclose(separation(position), torch.tensor([2 * math.exp(-0.5)]), atol=1e-4)
