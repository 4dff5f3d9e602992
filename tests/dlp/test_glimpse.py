import pytest
import torch

from dlp.decoder import composite
from dlp.glimpse import accumulate, crop, splat, window_side
from dlp.particles import Particles, from_pixels
from tests.dlp import naive


def scattered(seed: int, k: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions all over the canvas, at and beyond its borders too, and scales."""
    generator = torch.Generator().manual_seed(seed)
    position = torch.rand(2, k, 2, generator=generator) * 2.2 - 1.1
    position[0, 0] = torch.tensor([-1.0, 1.0])
    scale = torch.rand(2, k, generator=generator) * 0.8 + 0.7
    return position, scale


@pytest.mark.parametrize("size", [(24, 40), (32, 32)])
def test_splatting_equals_one_canvas_a_particle(size: tuple[int, int]) -> None:
    position, scale = scattered(1)
    patches = torch.rand(2, 5, 3, 8, 8)
    values, index = splat(patches, position, scale, size, window_side(8, 1.5))
    fast = accumulate(values, index, size)
    assert torch.allclose(fast, naive.paste(patches, position, scale, size).sum(1), atol=1e-4)


def test_the_composite_and_its_gradients_equal_the_naive_ones() -> None:
    position, scale = scattered(2)
    torch.manual_seed(0)
    inputs = [
        torch.rand(2, 5, 3, 8, 8),
        torch.rand(2, 5, 1, 8, 8) * 0.9,
        position,
        torch.randn(2, 5),
        torch.rand(2, 3, 24, 32),
    ]
    target = torch.rand(2, 3, 24, 32)
    images, gradients = [], []
    for fast in (True, False):
        rgb, alpha, where, depth, background = (x.clone().requires_grad_() for x in inputs)
        particles = Particles(where, where, where, depth, depth, depth)
        if fast:
            image = composite(rgb, alpha, particles, background, scale, 1.5)[0]
        else:
            image = naive.composite(rgb, alpha, particles, background, scale)
        ((image - target) ** 2).sum().backward()
        images.append(image.detach())
        gradients.append([x.grad for x in (rgb, alpha, where, depth, background)])
    assert torch.allclose(images[0], images[1], atol=1e-4)
    for one, other in zip(*gradients, strict=True):
        assert one is not None
        assert other is not None
        assert torch.allclose(one, other, atol=1e-4, rtol=1e-3)


def test_a_glimpse_at_a_pixel_is_the_pixels_round_it() -> None:
    image = torch.rand(1, 3, 32, 48)
    # The corner between four pixels is the centre of an even crop.
    centre = from_pixels(torch.tensor([[[20.5, 11.5]]]), 32, 48)
    glimpse = crop(image, centre, torch.ones(1, 1), 8)
    assert torch.allclose(glimpse[0, 0], image[0, :, 8:16, 17:25], atol=1e-5)


def test_a_glimpse_is_pasted_back_where_it_was_taken() -> None:
    image = torch.rand(1, 3, 32, 32)
    centre = from_pixels(torch.tensor([[[12.5, 20.5]]]), 32, 32)
    glimpse = crop(image, centre, torch.ones(1, 1), 8)
    values, index = splat(glimpse, centre, torch.ones(1, 1), (32, 32), window_side(8, 1.0))
    canvas = accumulate(values, index, (32, 32))
    assert torch.allclose(canvas[..., 17:25, 9:17], image[..., 17:25, 9:17], atol=1e-5)
    canvas[..., 17:25, 9:17] = 0
    assert canvas.abs().max() < 1e-5


def test_shifting_the_image_shifts_the_glimpse() -> None:
    image = torch.rand(1, 3, 32, 32)
    shifted = image.roll((3, 5), (2, 3))
    here = crop(image, from_pixels(torch.tensor([[[12.0, 14.0]]]), 32, 32), torch.ones(1, 1), 8)
    there = crop(shifted, from_pixels(torch.tensor([[[17.0, 17.0]]]), 32, 32), torch.ones(1, 1), 8)
    assert torch.allclose(here, there, atol=1e-5)


def test_the_nearer_patch_covers_the_farther() -> None:
    position = torch.zeros(1, 2, 2)
    rgb = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)])[None]
    alpha, scale = torch.ones(1, 2, 1, 8, 8) * 0.999, torch.ones(1, 2)
    background = torch.full((1, 3, 16, 16), 0.5)
    for depth, colour in (([4.0, -4.0], 0.0), ([-4.0, 4.0], 1.0)):
        particles = Particles(position, position, position, scale, scale, torch.tensor([depth]))
        image = composite(rgb, alpha, particles, background, scale, 1.5)[0]
        assert (image[0, :, 6:10, 6:10] - colour).abs().max() < 0.01
        assert (image[0, :, 0, 0] - 0.5).abs().max() < 1e-6


def test_the_order_of_the_particles_does_not_matter() -> None:
    position, scale = scattered(3)
    rgb, alpha, depth = torch.rand(2, 5, 3, 8, 8), torch.rand(2, 5, 1, 8, 8), torch.randn(2, 5)
    background = torch.rand(2, 3, 24, 24)
    order = torch.tensor([3, 0, 4, 1, 2])
    one = Particles(position, position, position, depth, depth, depth)
    other = Particles(*(x[:, order] for x in (position, position, position, depth, depth, depth)))
    first = composite(rgb, alpha, one, background, scale, 1.5)[0]
    second = composite(rgb[:, order], alpha[:, order], other, background, scale[:, order], 1.5)[0]
    assert torch.allclose(first, second, atol=1e-5)
