import torch

from dlp.masked.head import SPREAD, HeatmapHead

COUNT, WIDTH = 6, 8


def features(seed: int = 0) -> torch.Tensor:
    return torch.randn(3, 4 * WIDTH, 5, 7, generator=torch.Generator().manual_seed(seed))


def test_positions_are_in_the_frame_and_everything_learns() -> None:
    head = HeatmapHead(COUNT, WIDTH, 5 * 7)
    mean, log_variance = head(100 * features())
    assert mean.shape == log_variance.shape == (3, COUNT, 2)
    assert (mean.abs() <= 1).all()
    mean, log_variance = head(features())
    (mean.sum() + log_variance.sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_particles_start_apart_and_follow_what_is_where() -> None:
    torch.manual_seed(0)
    head = HeatmapHead(COUNT, WIDTH, 5 * 7)
    nothing, _ = head(torch.zeros(1, 4 * WIDTH, 5, 7))
    assert (nothing.abs() <= SPREAD + 0.1).all()
    assert torch.pdist(nothing[0]).min() > 0.05
    there, _ = head(features())
    elsewhere, _ = head(features().roll(2, -1))
    assert not torch.allclose(there, elsewhere, atol=1e-3)
