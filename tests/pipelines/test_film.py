import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from data.errors import UserError
from pipelines.draw import label
from pipelines.examples import PANEL
from pipelines.film import (
    CONTEXT_COLOUR,
    FORECAST_COLOUR,
    caption_width,
    compare,
    film_frames,
    gif_bytes,
    step_caption,
    write_gif,
    write_whole,
)
from pipelines.forecast import Forecast
from tests.pipelines.discs import disc_truth, disc_video

VIDEO = disc_video(steps=8, size=32)
TRUTH = disc_truth(steps=8, size=32)


def frame_count(image: Image.Image) -> int:
    return sum(1 for _ in ImageSequence.Iterator(image))


def forecast(
    start: int,
    stop: int,
    identity: np.ndarray | None = None,
    position: np.ndarray = TRUTH.position,
    frames: np.ndarray = VIDEO.frames,
) -> Forecast:
    """Steps of the discs' clip as if they had been predicted."""
    steps = stop - start
    rows = np.tile(np.arange(3), (steps, 1)) if identity is None else identity[start:stop]
    return Forecast(
        frames[start:stop],
        position[start:stop],
        np.ones((steps, 3), np.float32),
        np.zeros((steps, 3, 2), np.float32),
        rows,
    )


def film(true: np.ndarray = VIDEO.frames, **changes: Any) -> np.ndarray:
    """Three steps of context and five of a forecast."""
    return compare(true, forecast(0, 3, **changes), forecast(3, 8, **changes))


def test_three_panels_of_at_least_256_pixels_and_even_sides():
    odd = VIDEO.frames[:, :31, :31]
    frames = film(odd, frames=odd)
    steps, height, width, channels = frames.shape
    assert (steps, channels) == (8, 3)
    assert height >= 256
    assert width >= 3 * 256
    assert height % 2 == width % 2 == 0


def test_border_tells_context_from_forecast():
    frames = film()
    for t, colour in [(0, CONTEXT_COLOUR), (2, CONTEXT_COLOUR), (3, FORECAST_COLOUR)]:
        assert tuple(frames[t, 100, 0].tolist()) == colour


def test_a_step_is_told_whole_on_the_panels_of_a_report():
    width = PANEL + 6  # with its border
    for t, context, said in [
        (9, 10, "seen 10/10"),
        (999, 1000, "seen 1000/1000"),
        (14, 10, "prediction +5"),
        (1009, 10, "prediction +1000"),
    ]:
        assert step_caption(t, context, width) == said
        assert caption_width(said) <= width
        bar = label(np.zeros((0, 4 * width, 3), np.uint8), said)
        assert (bar[:, width:] == bar[0, 0]).all()
    assert caption_width("prediction   forecast +5") > width
    assert step_caption(14, 10, 262) == "prediction   forecast +5"
    assert step_caption(9, 10, 262) == "reconstruction   context 10/10"
    assert step_caption(14, 10, 60) == "+5"


def test_the_film_of_a_small_panel_shows_the_last_digit_of_its_step():
    parts, width = [forecast(3, 8)], PANEL + 6
    rows = film_frames(VIDEO.frames, forecast(0, 3), parts, panel_height=PANEL)
    captions = [row[:22, width + 6 : 2 * width + 6] for row in rows]
    assert all((one != two).any() for one, two in pairwise(captions))


def test_the_particle_panel_does_not_show_the_true_future():
    frames = film()
    changed = VIDEO.frames.copy()
    changed[3:] = 255 - changed[3:]
    other = film(changed)
    width = frames.shape[2] // 3
    assert (frames[:, :, width + 10 :] == other[:, :, width + 10 :]).all()
    assert (frames[3:, :, :width] != other[3:, :, :width]).any()


def test_the_truths_panel_has_the_numbers_of_the_objects_in_view_alone():
    plain, visible = film(), TRUTH.visible.copy()
    visible[:, 1] = False
    parts = [forecast(3, 8)]
    truth = replace(TRUTH, visible=visible)
    shown = np.stack(list(film_frames(VIDEO.frames, forecast(0, 3), parts, objects=truth)))
    width = plain.shape[2] // 3
    assert (shown[:, :, width + 3 :] == plain[:, :, width + 3 :]).all()
    changed = (shown[:, :, :width] != plain[:, :, :width]).any(-1)
    for i, seen in enumerate((True, False, True)):
        for step in (0, 7):
            x, y = ((TRUTH.position[step, i] + 0.5) * 8).astype(int) + 3
            assert changed[step, y + 15 : y + 32, x - 7 : x + 8].any() == seen


def test_a_film_made_as_it_comes_is_the_whole_one():
    parts = (forecast(a, b) for a, b in [(3, 5), (5, 6), (6, 8)])
    streamed = np.stack(list(film_frames(VIDEO.frames, forecast(0, 3), parts)))
    assert (streamed == compare(VIDEO.frames, forecast(0, 3), forecast(3, 8))).all()


def test_parts_whose_arrays_differ_in_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        film(position=TRUTH.position[:7])


def test_a_part_is_asked_for_when_its_first_frame_is():
    asked = []

    def parts() -> Iterator[Forecast]:
        for start in (3, 5):
            asked.append(start)
            yield forecast(start, start + 2)

    frames = film_frames(VIDEO.frames, forecast(0, 3), parts())
    seen = [(next(frames), list(asked))[1] for _ in range(7)]
    assert seen == [[], [], [], [3], [3], [3, 5], [3, 5]]
    assert next(frames, None) is None


def test_where_the_truth_has_ended_its_panel_is_dark():
    frames = compare(VIDEO.frames[:5], forecast(0, 3), forecast(3, 8))
    whole = film()
    width = frames.shape[2] // 3
    assert (frames[:5] == whole[:5]).all()
    assert (frames[5:, :, width:] == whole[5:, :, width:]).all()
    assert (frames[5:, 40:200, 20:200] == 24).all()


def test_no_track_leads_from_one_particle_to_the_next_of_its_row():
    who = np.tile(np.arange(3), (8, 1))
    who[5:, 1] = 9  # born in the row that particle 1 has left
    dark = np.zeros_like(VIDEO.frames)
    frames = film(identity=who, frames=dark)
    # Alone since step 5, particle 9 looks as if no step before had been seen.
    known = TRUTH.position.copy()
    known[:5, 1] = np.nan
    apart = film(identity=who, frames=dark, position=known)
    assert (frames[5:] == apart[5:]).all()
    joined = film(frames=dark)
    assert (frames[:5] == joined[:5]).all()
    assert (frames[5:] != joined[5:]).any()


def test_gif_plays_for_ever_at_its_rate_with_every_frame():
    gif = Image.open(io.BytesIO(gif_bytes(VIDEO.frames, fps=10)))
    assert frame_count(gif) == 8
    assert gif.info["loop"] == 0
    assert gif.info["duration"] == 100
    for t in (0, 7):
        gif.seek(t)
        difference = np.abs(np.asarray(gif.convert("RGB")).astype(int) - VIDEO.frames[t])
        assert difference.mean() < 4


def test_gif_keeps_the_colours_of_thin_tracks():
    ramp = np.add.outer(np.arange(96), np.arange(96)) * 255 // 190
    frames = np.stack([ramp, ramp // 2, 255 - ramp], -1).astype(np.uint8)[None].repeat(2, 0)
    frames[1, 40, 10:30] = (0, 255, 0)  # too few pixels for a median cut to care
    gif = Image.open(io.BytesIO(gif_bytes(frames, 10)))
    gif.seek(1)
    assert gif.convert("RGB").getpixel((20, 40)) == (0, 255, 0)


def test_a_gif_file_holds_every_frame(tmp_path):
    write_gif(tmp_path / "a.gif", VIDEO.frames, 10)
    assert frame_count(Image.open(tmp_path / "a.gif")) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "film.gif"
    write_gif(target, VIDEO.frames, 10)
    before = target.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(UserError, match=r"film\.gif: No space left on device: free some"):
        write_whole(target, b"new")
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]
