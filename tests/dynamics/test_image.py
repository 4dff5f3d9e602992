"""The image loss of stage 2, with made decoders and with the real one."""

from __future__ import annotations

import torch
from torch import Tensor

from dlp.config import DLPConfig
from dlp.decoder import Scene
from dlp.model import DLP
from dlp.particles import Particles
from dynamics.image import image_loss
from dynamics.tracks import decode_code

M, U, N, SIZE = 3, 4, 2, (16, 24)


def splash(particles: Particles) -> Scene:
    """Particles as soft dots, x to red, y to green, looks to blue; nothing of what is not there."""
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in SIZE), indexing="ij")
    away = torch.stack([x, y], -1)[None, None] - particles.position[:, :, None, None]
    dot = torch.exp(-8 * away.square().sum(-1)) * particles.transparency[..., None, None]
    colour = torch.cat([(particles.position + 1) / 2, particles.appearance[..., :1]], -1)
    image = (dot[:, :, None] * colour[..., None, None]).sum(1) / N  # (b, 3, h, w)
    return Scene(image, image, image[:, :1], image[:, None])


def made(m: int = M, u: int = U, features: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Positions, codes and which rows are alive."""
    generator = torch.Generator().manual_seed(0)
    position = torch.rand(m, u, N, 2, generator=generator) * 1.2 - 0.6
    code = torch.rand(m, u, N, features + 3, generator=generator)
    code[..., -1] = 4.0
    return position, code, torch.ones(m, N, dtype=torch.bool)


def drawn(decode, position: Tensor, code: Tensor, alive: Tensor) -> Tensor:
    """Every step as a frame, [m, u, h, w, 3] uint8."""
    steps = [
        decode(decode_code(position[:, t], code[:, t], alive)).image
        for t in range(position.shape[1])
    ]
    whole = torch.stack(steps, 1).clamp(0, 1).permute(0, 1, 3, 4, 2)
    return (whole * 255).round().to(torch.uint8)


def rounding(h: int, w: int) -> float:
    """The most that whole numbers of 255 can be off, summed over a frame."""
    return 3 * h * w * (0.5 / 255) ** 2 + 1e-6


def test_a_perfect_drawing_costs_nothing_at_whatever_step() -> None:
    position, code, alive = made()
    frames = drawn(splash, position, code, alive)
    for seed in range(12):
        torch.manual_seed(seed)
        assert float(image_loss(splash, position, code, alive, frames)) <= rounding(*SIZE)


def test_the_error_of_a_known_difference() -> None:
    def flat(particles: Particles) -> Scene:
        image = torch.full((len(particles.position), 3, *SIZE), 0.4)
        return Scene(image, image, image[:, :1], image[:, None])

    position, code, alive = made()
    frames = torch.zeros(M, U, *SIZE, 3, dtype=torch.uint8)
    frames[0] = 51  # 0.2: the difference of one forecast is half of the others'
    pixels = 3 * SIZE[0] * SIZE[1]
    expected = pixels * (0.2**2 + 2 * 0.4**2) / 3
    assert abs(float(image_loss(flat, position, code, alive, frames)) - expected) < 1e-3 * expected


def test_every_step_is_looked_at_some_time_and_none_beyond_the_forecast() -> None:
    position, code, alive = made()
    frames = drawn(splash, position, code, alive)
    longer = torch.cat([frames, 255 - frames], 1)  # what comes after is not foreseen
    torch.manual_seed(0)
    for wrong in range(U):
        one = longer.clone()
        one[:, wrong] = 255 - one[:, wrong]
        costs = [float(image_loss(splash, position, code, alive, one)) for _ in range(30)]
        assert max(costs) > 1
        assert min(costs) <= rounding(*SIZE)


def test_the_gradient_reaches_positions_and_codes_of_the_step_that_is_drawn() -> None:
    position, code, alive = made()
    frames = drawn(splash, position, code, alive)
    position, code = (position + 0.1).requires_grad_(), (code + 0.1).requires_grad_()
    image_loss(splash, position, code, alive, frames).backward()
    for gradient in (position.grad, code.grad):
        assert gradient is not None
        steps = gradient.abs().sum((2, 3)) > 0  # (m, u)
        assert (steps.sum(1) == 1).all()
        assert (gradient.abs().sum((1, 3)) > 0).all()  # every particle


def test_a_dead_row_draws_nothing_and_gets_no_gradient() -> None:
    position, code, alive = made(u=1)
    alive[1, 0] = False
    frames = drawn(splash, position, code, alive)
    other = position.clone()
    other[1, :, 0] = 0.9
    other.requires_grad_()
    loss = image_loss(splash, other, code, alive, frames)
    assert float(loss.detach()) <= rounding(*SIZE)
    loss.backward()
    assert other.grad is not None
    assert not other.grad[1, :, 0].any()
    assert other.grad[1, :, 1].any()
    alive[1, 0] = True
    assert float(image_loss(splash, other.detach(), code, alive, frames)) > 1


def test_it_is_so_with_the_real_decoder() -> None:
    torch.manual_seed(0)
    config = DLPConfig(particles=N, width=8, features=4, glimpse=8)
    dlp = DLP(config, (32, 32)).eval().requires_grad_(False)
    position, code, alive = made(features=4)
    alive[0, 1] = False
    frames = drawn(dlp.decode, position, code, alive)
    assert float(image_loss(dlp.decode, position, code, alive, frames)) <= rounding(32, 32)
    moved, looks = (position + 0.2).requires_grad_(), (code + 0.2).requires_grad_()
    loss = image_loss(dlp.decode, moved, looks, alive, frames)
    assert float(loss.detach()) > 2 * rounding(32, 32)
    loss.backward()
    for given in (moved, looks):
        assert given.grad is not None
        assert given.grad.isfinite().all()
        reached = given.grad.abs().sum((1, 3)) > 0
        assert torch.equal(reached, alive)
