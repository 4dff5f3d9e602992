"""What stands before all particles: a lamp post that things pass behind."""

import torch

from dlp.config import DLPConfig
from dlp.model import DLP
from dlp.particles import Particles

SIZE = (32, 32)
POST = slice(14, 18)  # columns


def model() -> DLP:
    torch.manual_seed(0)
    dlp = DLP(DLPConfig(particles=2, width=8, features=3), SIZE)
    dlp.decoder.background.data.uniform_()
    return dlp


def particles() -> Particles:
    """One in the middle, of every column."""
    torch.manual_seed(1)
    ones = torch.ones(1, 1)
    return Particles(
        torch.zeros(1, 1, 2), -9 * torch.ones(1, 1, 2), torch.randn(1, 1, 3), ones, ones, ones
    )


def test_at_first_nothing_stands_before_the_particles():
    assert model().decoder.cover().max() < 0.02


def test_the_background_is_seen_where_it_lies_before_the_particles():
    dlp = model()
    dlp.decoder.front.data[:, :, POST] = 5
    scene = dlp.decode(particles())
    assert torch.equal(scene.image[0, :, :, POST], dlp.decoder.background[:, :, POST])
    assert scene.mask[0, 0, :, POST].max() == 0
    assert scene.foreground[0, :, :, POST].abs().max() == 0
    beside = scene.image[0, :, 16, 10:13] - dlp.decoder.background[:, 16, 10:13]
    assert beside.abs().max() > 0.05


def test_a_post_is_learned_from_what_passes_behind_it():
    dlp, thing = model(), particles()
    with torch.no_grad():
        picture = dlp.decode(thing).image
        picture[..., POST] = dlp.decoder.background[None, :, :, POST]
    step = torch.optim.Adam([dlp.decoder.front], 1e-2)
    for _ in range(100):
        step.zero_grad()
        scene = dlp.decoder(thing)
        ((scene.image - picture) ** 2).sum().backward()
        step.step()
    cover = dlp.decoder.cover()[0, 16]
    assert cover[POST].min() > 0.9
    assert cover[9:13].max() < 0.05


def test_the_warm_up_hides_no_particle():
    dlp = model()
    dlp.loss(torch.rand(2, 3, *SIZE), progress=0.0).total.backward()
    assert dlp.decoder.front.grad is None or not dlp.decoder.front.grad.any()
