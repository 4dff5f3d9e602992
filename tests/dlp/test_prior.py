import torch

from dlp.config import DLPConfig
from dlp.particles import from_pixels, to_pixels
from dlp.prior import PatchPrior


def test_each_keypoint_lies_in_its_own_patch() -> None:
    torch.manual_seed(0)
    for patch, count in ((8, 4 * 6), (16, 2 * 3)):
        prior = PatchPrior(DLPConfig(patch=patch))
        found = prior(10 * torch.randn(2, 6, 32, 48))
        assert found.position.shape == (2, count, 2)
        assert found.presence.shape == (2, count)
        pixels = to_pixels(found.position, 32, 48) + 0.5
        corner = (pixels / patch).floor().long()
        columns = 48 // patch
        expected = torch.arange(count)
        assert (corner[..., 0] == expected % columns).all()
        assert (corner[..., 1] == expected // columns).all()


def test_a_flat_heatmap_gives_the_patch_centre() -> None:
    prior = PatchPrior(DLPConfig())
    torch.nn.init.zeros_(prior.head.weight)
    assert prior.head.bias is not None
    torch.nn.init.zeros_(prior.head.bias)
    pixels = to_pixels(prior(torch.rand(1, 6, 16, 16)).position, 16, 16)
    expected = torch.tensor([[3.5, 3.5], [11.5, 3.5], [3.5, 11.5], [11.5, 11.5]])
    assert torch.allclose(pixels[0], expected, atol=1e-5)


def test_pixels_and_back() -> None:
    position = torch.rand(5, 2) * 2 - 1
    assert torch.allclose(from_pixels(to_pixels(position, 30, 50), 30, 50), position, atol=1e-6)
    corner = to_pixels(torch.tensor([-1.0, -1.0]), 30, 50)
    assert torch.allclose(corner, torch.tensor([-0.5, -0.5]))
