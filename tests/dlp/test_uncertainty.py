from dataclasses import replace

import torch

from dlp.particles import Particles
from dlp.uncertainty import CLUES, Calibration, clues

GLIMPSE, SIZE = 16, (64, 64)


def particles() -> Particles:
    """Three in each of two frames: one in the open, two side by side, one of these at the edge."""
    torch.manual_seed(0)
    position = torch.tensor([[-0.5, -0.5], [0.9, 0.5], [0.8, 0.5]]).repeat(2, 1, 1)
    live = torch.tensor([0.9, 0.9, 0.9]).repeat(2, 1)
    return Particles(
        position, torch.randn(2, 3, 2) - 6, torch.randn(2, 3, 4), live, live, torch.zeros(2, 3)
    )


def test_it_begins_as_the_identity():
    one = particles()
    assert torch.equal(Calibration(GLIMPSE, SIZE)(one), one.log_variance)


def test_the_clues_tell_what_they_say():
    told = clues(particles(), GLIMPSE, SIZE)
    assert told.shape == (2, 3, 2, len(CLUES))
    assert torch.equal(told[..., 0], particles().log_variance)
    cut, crosswise, crowd = told[0, :, :, 3], told[0, :, :, 4], told[0, :, :, 5]
    # 0.1 from the right edge is 3.2 px; the patch reaches 7.2 px.
    assert torch.allclose(cut[:, 0], torch.tensor([0.0, 1 - 3.2 / 7.2, 1 - 6.4 / 7.2]))
    assert torch.equal(cut[:, 1], torch.zeros(3))
    assert torch.equal(crosswise, cut.flip(-1))
    assert crowd[0].max() < 1e-6
    assert (crowd[1:] > 0.5).all()


def test_dead_neighbours_are_no_crowd():
    one = particles()
    alone = replace(one, transparency=torch.tensor([0.9, 0.9, 0.1]).repeat(2, 1))
    assert clues(alone, GLIMPSE, SIZE)[0, 1, :, 5].max() < 1e-6


def test_permuting_the_particles_permutes_the_clues():
    one, order = particles(), torch.tensor([2, 0, 1])
    swapped = one.apply(lambda x: x[:, order])
    assert torch.equal(clues(swapped, GLIMPSE, SIZE), clues(one, GLIMPSE, SIZE)[:, order])
