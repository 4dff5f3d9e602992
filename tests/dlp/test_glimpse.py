from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dlp import reference
from dlp.config import DLPConfig
from dlp.decoder import composite
from dlp.glimpse import accumulate, crop, splat, window_side
from dlp.model import DLP
from dlp.particles import Particles, from_pixels

SIZES = [(24, 40), (40, 24), (32, 32)]
SCALES = [(0.67, 0.67), (0.67, 1.5), (1.5, 1.5)]
"""Smallest and largest scale of the particles."""
LARGE = (4.9, 5.0)


def scattered(
    seed: int, k: int = 7, scales: tuple[float, float] = (0.67, 1.5)
) -> tuple[Tensor, Tensor]:
    """Positions all over the canvas, at its borders, beyond them and out of sight, and scales."""
    generator = torch.Generator().manual_seed(seed)
    position = torch.rand(2, k, 2, generator=generator) * 2.2 - 1.1
    position[0, 0] = torch.tensor([-1.0, 1.0])
    position[0, 1] = torch.tensor([1.23, -0.31])
    position[1, 0] = torch.tensor([-2.9, 0.2])
    position[1, 1] = torch.tensor([0.4, 2.7])
    scale = torch.rand(2, k, generator=generator) * (scales[1] - scales[0]) + scales[0]
    return position, scale


def assert_same(one: list[Tensor], other: list[Tensor]) -> None:
    """Equal to 1e-4 (of the largest, if that is above 1), and not because both are nothing."""
    for first, second in zip(one, other, strict=True):
        largest = float(first.detach().abs().max())
        assert largest > 1e-3
        assert float((first - second).detach().abs().max()) < 1e-4 * max(1.0, largest)


def gradients(outputs: list[Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """Of the outputs against fixed random targets, so that every pixel counts."""
    generator = torch.Generator().manual_seed(9)
    targets = [torch.rand(x.shape, generator=generator) for x in outputs]
    loss = sum(((x - y) ** 2).sum() for x, y in zip(outputs, targets, strict=True))
    assert isinstance(loss, Tensor)
    return list(torch.autograd.grad(loss, inputs))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scales", SCALES)
def test_crops_and_their_gradients_equal_one_canvas_a_particle(
    size: tuple[int, int], scales: tuple[float, float]
) -> None:
    position, scale = scattered(4, scales=scales)
    torch.manual_seed(0)
    image = torch.rand(2, 3, *size)
    inputs = [x.requires_grad_() for x in (image, position, scale)]
    fast, slow = crop(image, position, scale, 8), reference.crop(image, position, scale, 8)
    assert_same([fast], [slow])
    assert_same(gradients([fast], inputs), gradients([slow], inputs))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scales", [*SCALES, LARGE])
def test_splats_and_their_gradients_equal_one_canvas_a_particle(
    size: tuple[int, int], scales: tuple[float, float]
) -> None:
    position, scale = scattered(1, scales=scales)
    torch.manual_seed(0)
    patches = torch.rand(2, 7, 3, 8, 8)
    inputs = [x.requires_grad_() for x in (patches, position, scale)]
    values, index = splat(patches, position, scale, size, window_side(8, scales[1]))
    fast = accumulate(values, index, size)
    slow = reference.paste(patches, position, scale, size).sum(1)
    assert_same([fast], [slow])
    assert_same(gradients([fast], inputs), gradients([slow], inputs))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scales", [SCALES[1], LARGE])
def test_the_composite_and_its_gradients_equal_one_canvas_a_particle(
    size: tuple[int, int], scales: tuple[float, float]
) -> None:
    position, scale = scattered(2, scales=scales)
    torch.manual_seed(0)
    rgb, alpha, depth = torch.rand(2, 7, 3, 8, 8), torch.rand(2, 7, 1, 8, 8), torch.randn(2, 7)
    background = torch.rand(2, 3, *size)
    clear = torch.rand(1, *size)
    parts = (rgb, alpha * 0.9, position, scale, depth, background, clear)
    inputs = [x.requires_grad_() for x in parts]
    rgb, alpha, position, scale, depth, background, clear = inputs
    particles = Particles(position, position, position, depth, scale, depth)
    fast = list(composite(rgb, alpha, particles, background, scale, scales[1], clear))
    slow = list(reference.composite(rgb, alpha, particles, background, scale, scales[1], clear))
    assert_same(fast, slow)
    assert_same(gradients(fast, inputs), gradients(slow, inputs))


def test_the_model_with_full_canvases_is_the_same_model() -> None:
    torch.manual_seed(0)
    model = DLP(DLPConfig(particles=4, n_prior=8, width=8), (32, 48))
    image = torch.rand(2, 3, 32, 48)
    totals, slopes = [], []
    for slow in (False, True):
        torch.manual_seed(1)
        model.zero_grad()
        if slow:
            with reference.full_canvas():
                total = model.loss(image, 0.0).total
        else:
            total = model.loss(image, 0.0).total
        totals.append(total.detach())
        found = torch.autograd.grad(total, list(model.parameters()))
        slopes.append(torch.cat([x.flatten() for x in found]))
    assert torch.allclose(totals[0], totals[1], rtol=1e-4)
    assert (slopes[0] - slopes[1]).norm() < 1e-3 * slopes[0].norm()


def test_full_canvases_are_used_inside_and_not_after(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []

    def noted(name: str) -> Callable[..., Any]:
        whole = getattr(reference, name)

        def function(*arguments: Any) -> Any:
            used.append(name)
            return whole(*arguments)

        return function

    for name in ("crop", "composite"):
        monkeypatch.setattr(reference, name, noted(name))
    model = DLP(DLPConfig(particles=4, n_prior=8, width=8), (32, 32))
    image = torch.rand(1, 3, 32, 32)
    with reference.full_canvas():
        model.loss(image, 0.0)
    # Two looks, the ground beneath the patches, and the warm-up's own glimpses.
    assert sorted(used) == ["composite", "crop", "crop", "crop", "crop"]
    model.loss(image, 0.0)
    assert len(used) == 5


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


def test_the_order_of_the_particles_does_not_matter() -> None:
    position, scale = scattered(3, k=5)
    rgb, alpha, depth = torch.rand(2, 5, 3, 8, 8), torch.rand(2, 5, 1, 8, 8), torch.randn(2, 5)
    background = torch.rand(2, 3, 24, 24)
    order = torch.tensor([3, 0, 4, 1, 2])
    one = Particles(position, position, position, depth, depth, depth)
    other = Particles(*(x[:, order] for x in (position, position, position, depth, depth, depth)))
    first = composite(rgb, alpha, one, background, scale, 1.5)[0]
    second = composite(rgb[:, order], alpha[:, order], other, background, scale[:, order], 1.5)[0]
    assert torch.allclose(first, second, atol=1e-5)
