from typing import Any

import numpy as np
import torch

from dlp.particles import Particles, from_pixels
from pipelines.panel import panel
from tests.pipelines.discs import disc_truth, disc_video


def disc_panel(count: int = 2) -> dict[str, Any]:
    """What stage 1 would hand over if it were perfect: three discs, two spare particles."""
    video = disc_video(steps=count, size=64)
    images = torch.from_numpy(video.frames).permute(0, 3, 1, 2).float() / 255
    centres = torch.from_numpy(disc_truth(steps=count, size=64).position)
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    pixel = torch.stack([x, y], -1).float()
    inside = (pixel - centres[:, :, None, None]).norm(dim=-1) <= 6
    masks = torch.cat([inside.float(), torch.zeros(count, 2, 64, 64)], 1)
    position = torch.cat([from_pixels(centres, 64, 64), torch.zeros(count, 2, 2)], 1)
    live = torch.tensor([1.0, 1.0, 0.7, 0.05, 0.0]).repeat(count, 1)
    particles = Particles(
        position,
        torch.full_like(position, -5.0),
        torch.zeros(count, 5, 4),
        live,
        torch.ones(count, 5),
        torch.zeros(count, 5),
    )
    any_disc = masks.amax(1, keepdim=True)
    return {
        "images": images,
        "particles": particles,
        "proposals": torch.rand(count, 12, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1,
        "reconstruction": images,
        "foreground": images * any_disc,
        "masks": masks,
        "background": images.median(0, keepdim=True).values.expand_as(images),
    }


def test_a_row_for_each_image_and_eight_columns():
    one, two = panel(**disc_panel(1)), panel(**disc_panel(2))
    assert two.dtype == np.uint8
    assert two.shape == (2 * one.shape[0], one.shape[1], 3)
    assert one.shape[1] % 8 == 0
    assert one.shape[1] // 8 >= 128


def cells(picture: np.ndarray) -> list[np.ndarray]:
    return np.split(picture, 8, axis=1)


def test_columns_show_what_they_are_called():
    shown = [cell[30:] for cell in cells(panel(**disc_panel(1)))]
    source, particles, proposals, reconstruction, foreground, masks, boxes, _ = shown
    assert (source == reconstruction).all()
    for drawn in (particles, proposals, boxes, foreground, masks):
        assert (drawn != source).any()


def test_boxes_come_from_the_masks_or_are_given_or_are_left_out():
    arguments = disc_panel(1)
    around = cells(panel(**arguments))[6]
    given = torch.full((1, 5, 4), torch.nan)
    given[0, 0] = torch.tensor([20.0, 40.0, 30.0, 50.0])
    elsewhere = cells(panel(**{**arguments, "boxes": given}))[6]
    whole = {**arguments, "masks": arguments["masks"].amax(1, keepdim=True)}
    plain = cells(panel(**whole))
    assert (around != elsewhere).any()
    assert (plain[6][30:] == plain[0][30:]).all()
