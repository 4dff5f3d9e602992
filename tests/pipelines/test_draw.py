import numpy as np
import pytest
import torch

from dlp.particles import Particles
from pipelines.draw import (
    PALETTE,
    colour_of,
    draw_boxes,
    draw_particles,
    draw_tracks,
    enlarge,
    in_pixels,
    label,
    mask_boxes,
    plot_curves,
)

BLACK = np.zeros((40, 60, 3), np.uint8)


def centroid(image: np.ndarray) -> np.ndarray:
    """(x, y) of all that is not black, weighted by brightness."""
    weight = image.astype(float).sum(-1)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize("factor", [1, 4, 5])
def test_a_particle_is_drawn_where_it_is(factor):
    frame = enlarge(BLACK, factor)
    drawn = draw_particles(frame, np.array([[21.25, 13.5]]), np.ones(1), factor=factor, radius=4)
    expected = (np.array([21.25, 13.5]) + 0.5) * factor - 0.5
    assert np.abs(centroid(drawn) - expected).max() < 0.3
    assert frame.max() == 0  # the frame given is left alone


def test_enlarging_moves_a_pixel_where_drawing_expects_it():
    frame = BLACK.copy()
    frame[13, 21] = 255
    assert np.abs(centroid(enlarge(frame, 4)) - (np.array([21, 13]) + 0.5) * 4 + 0.5).max() < 0.3


def test_only_live_particles_are_drawn_and_fade_with_transparency():
    position = np.array([[20.0, 20.0]])
    brightness = [
        int(draw_particles(BLACK, position, np.array([value])).astype(int).sum())
        for value in (0.29, 0.4, 1.0)
    ]
    assert brightness[0] == 0
    assert 0 < brightness[1] < brightness[2]


def test_colour_follows_identity_and_the_palette_has_24_distinct_ones():
    assert len({tuple(c) for c in PALETTE.tolist()}) == 24
    drawn = draw_particles(
        BLACK, np.array([[20.0, 20.0]]), np.ones(1), identity=np.array([7]), radius=6
    )
    strongest = drawn.reshape(-1, 3)[drawn.reshape(-1, 3).sum(-1).argmax()]
    assert tuple(strongest.tolist()) == colour_of(7) == colour_of(31)


def test_positions_off_the_frame_or_unknown_do_no_harm():
    position = np.array([[-300.0, 10.0], [np.nan, 3.0], [1e5, 1e5]])
    trail = np.stack([position + 1, position])
    drawn = draw_particles(
        BLACK, position, np.ones(3), deviation=np.full((3, 2), 1e4), trail=trail, factor=1
    )
    assert drawn.shape == BLACK.shape


def test_a_tail_fades_towards_its_old_end():
    trail = np.stack([np.linspace(5, 50, 10), np.full(10, 20.0)], -1)[:, None]
    drawn = draw_particles(BLACK, trail[-1], np.ones(1), trail=trail, radius=2).astype(int).sum(-1)
    assert 0 < drawn[:, 8].max() < drawn[:, 40].max()
    assert drawn[:10].max() == 0


def test_a_row_without_a_particle_is_not_drawn():
    position, nobody = np.array([[20.0, 20.0]]), np.array([-1])
    assert draw_particles(BLACK, position, np.ones(1), identity=nobody).max() == 0
    assert draw_tracks(BLACK, position[None], np.ones(1), nobody).max() == 0


def test_a_thin_track_begins_behind_its_last_gap_and_is_as_opaque_as_asked():
    trail = np.stack([np.linspace(5, 50, 10), np.full(10, 20.0)], -1)[:, None]
    trail[3] = np.nan
    one, identity = np.ones(1), np.zeros(1, int)
    drawn = draw_tracks(BLACK, trail, one, identity).astype(int).sum(-1)
    assert drawn[:, :24].max() == 0
    assert drawn[20, 26:52].min() > 0
    faint = draw_tracks(BLACK, trail, one, identity, opacity=0.25).astype(int).sum(-1)
    assert np.abs(faint - 0.25 * drawn).max() < 3
    assert draw_tracks(BLACK, trail, np.array([0.2]), identity).max() == 0
    far = np.array([[[1e9, 1e9]], [[1e9, -1e9]]])
    assert draw_tracks(BLACK, far, one, identity).max() == 0


def test_deviation_is_in_pixels():
    particles = Particles(
        position=torch.zeros(1, 2),
        log_variance=torch.full((1, 2), 2 * float(np.log(0.1))),
        appearance=torch.zeros(1, 3),
        transparency=torch.ones(1),
        scale=torch.ones(1),
        depth=torch.zeros(1),
    )
    position, transparency, deviation = in_pixels(particles, 40, 60)
    np.testing.assert_allclose(position, [[29.5, 19.5]])
    np.testing.assert_allclose(deviation, [[3.0, 2.0]], rtol=1e-5)
    assert transparency.tolist() == [1.0]


def test_mask_boxes_are_those_of_the_pixels_above_the_threshold():
    masks = np.zeros((2, 20, 30))
    masks[0, 3:7, 10:12] = 0.9
    masks[1, :, :] = 0.4
    boxes = mask_boxes(masks)
    assert boxes[0].tolist() == [10, 3, 11, 6]
    assert np.isnan(boxes[1]).all()


def test_a_box_surrounds_its_pixels_after_enlarging():
    drawn = draw_boxes(enlarge(BLACK, 4), np.array([[10, 3, 11, 6]]), np.ones(1), factor=4)
    rows, columns = np.nonzero(drawn.sum(-1) > 200)
    assert (columns.min(), columns.max()) == (40, 47)
    assert (rows.min(), rows.max()) == (12, 27)
    assert draw_boxes(BLACK, np.array([[10, 3, 11, 6]]), np.array([0.1])).max() == 0


def test_a_label_adds_a_bar_and_leaves_the_frame():
    frame = np.full((40, 60, 3), 90, np.uint8)
    labelled = label(frame, "input", height=20)
    assert labelled.shape == (60, 60, 3)
    assert (labelled[20:] == frame).all()
    assert labelled[:20].max() > 150  # the text


def test_curves_become_an_image_even_with_gaps():
    image = plot_curves(
        {"model": np.array([1.0, np.nan, 3.0]), "copy-last": np.array([1.0, 2.0, 4.0])},
        title="error",
        unit="px",
        bands={"model": (np.zeros(3), np.full(3, 4.0))},
    )
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 20
