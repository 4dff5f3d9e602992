"""Films a person looks at: truth, forecast and particles side by side; mp4 and GIF."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from data.errors import writing
from data.videos import Truth
from pipelines.draw import PALETTE, dim, draw_particles, enlarge, label, number
from pipelines.forecast import Forecast
from pipelines.moments import Trails, moments

CONTEXT_COLOUR = (120, 150, 175)
FORECAST_COLOUR = (255, 160, 40)
_BORDER, _GAP, _DARK = 3, 6, 24


def compare(true: np.ndarray, seen: Forecast, future: Forecast) -> np.ndarray:
    """The whole film of `film_frames`, [c + t, H, W, 3] uint8, of a forecast in one piece."""
    return np.stack(list(film_frames(true, seen, [future])))


def film_frames(
    true: np.ndarray,
    seen: Forecast,
    parts: Iterable[Forecast],
    *,
    panel_height: int = 256,
    tail: int = 12,
    objects: Truth | None = None,
) -> Iterator[np.ndarray]:
    """Truth | prediction | particles with their tracks, captioned, a frame a step as it comes.

    Context frames have a grey-blue border and forecast frames an orange one. The particles
    lie over the darkened prediction, so that nothing of the true future shows in them.

    Args:
        true: [at most c + t, h, w, 3] uint8; where it has ended its panel stays dark.
        seen: the c frames of the context.
        parts: the t predicted ones, one part in memory at a time.
        panel_height: least height of a panel in the film; frames are enlarged by a whole factor.
        tail: steps that a track's tail is long.
        objects: of the same frames: their numbers stand where they are, in the truth's panel.

    Yields:
        [H, W, 3] uint8, H and W even, as H.264 needs.
    """
    factor, trails = enlargement(true, panel_height), Trails(tail)
    radius = max(2.0, 0.03 * max(true.shape[1:3]))
    for t, now in enumerate(moments(chain([seen], parts))):
        particles = draw_particles(
            dim(enlarge(now.frame, factor)),
            now.position,
            now.transparency,
            factor=factor,
            identity=now.identity,
            trail=trails.follow(now),
            radius=radius,
        )
        yield film_row(
            true,
            now.frame,
            particles,
            "particles",
            t=t,
            context=len(seen.frames),
            objects=objects,
        )


def enlargement(frames: np.ndarray, panel_height: int) -> int:
    """The whole factor by which frames [t, h, w, 3] reach `panel_height`."""
    return max(1, -(-panel_height // frames.shape[1]))


def film_row(
    true: np.ndarray,
    prediction: np.ndarray,
    third: np.ndarray,
    title: str,
    *,
    t: int,
    context: int,
    objects: Truth | None = None,
) -> np.ndarray:
    """One frame of a film: truth | prediction | a third panel, bordered and captioned.

    Args:
        true: [any, h, w, 3] uint8; if it has no frame t, the panel is dark.
        prediction: [h, w, 3] uint8.
        third: [h * factor, w * factor, 3] uint8, already enlarged.
        title: of the third panel.
        t: which step of the film.
        context: how many of its first steps were seen.
        objects: whose numbers stand in the truth's panel.
    """
    seen, factor = t < context, third.shape[0] // prediction.shape[0]
    width = third.shape[1] + 2 * _BORDER
    titles = ("truth", step_caption(t, context, width), title)
    truth = true[t] if t < len(true) else np.full_like(prediction, _DARK)
    large = enlarge(truth, factor)
    if objects is not None and t < len(objects.position):
        large = number(large, objects.position[t], objects.visible[t], factor)
    panels = (large, enlarge(prediction, factor), third)
    return bordered(panels, titles, CONTEXT_COLOUR if seen else FORECAST_COLOUR)


def step_caption(
    t: int, context: int, width: int, names: tuple[str, str] = ("reconstruction", "prediction")
) -> str:
    """What stands over a prediction: its step, with as many words as fit.

    Args:
        t: which step of the film.
        context: how many of its first steps were seen.
        width: of the panel with its border, pixels.
        names: of the panel while the context is seen, and after.
    """
    if t < context:
        step, longest = f"{t + 1}/{context}", f"{context}/{context}"
        before = (f"{names[0]}   context ", "seen ")
    else:
        step, longest = f"+{t + 1 - context}", "+1000"
        before = (f"{names[1]}   forecast ", f"{names[1]} ")
    # There is room for the longest step, so that a film's captions do not change on the way.
    fits = (words for words in before if caption_width(words + longest) <= width)
    return next(fits, "") + step


@cache
def caption_width(text: str) -> int:
    """Pixels that a caption takes in all, from the panel's left edge."""
    bar = label(np.zeros((0, 16 * (len(text) + 1), 3), np.uint8), text)
    return int(np.flatnonzero((bar != bar[0, 0]).any((0, 2)))[-1]) + 2


def bordered(
    panels: Sequence[np.ndarray], titles: Sequence[str], colour: tuple[int, int, int]
) -> np.ndarray:
    """Panels [h, w, 3] uint8 side by side, each under its title and in a border of `colour`."""
    return _row([_panel(p, c, colour) for p, c in zip(panels, titles, strict=True)])


def _panel(frame: np.ndarray, caption: str, colour: tuple[int, int, int]) -> np.ndarray:
    height, width = frame.shape[:2]
    framed = np.empty((height + 2 * _BORDER, width + 2 * _BORDER, 3), np.uint8)
    framed[:] = colour
    framed[_BORDER:-_BORDER, _BORDER:-_BORDER] = frame
    return label(framed, caption, colour=colour if "+" in caption else (235, 235, 235))


def _row(panels: Sequence[np.ndarray]) -> np.ndarray:
    gap = np.full((panels[0].shape[0], _GAP, 3), _DARK, np.uint8)
    row = np.concatenate([panels[0], *(x for panel in panels[1:] for x in (gap, panel))], 1)
    return np.pad(row, ((0, row.shape[0] % 2), (0, row.shape[1] % 2), (0, 0)), mode="edge")


def gif_bytes(frames: Sequence[np.ndarray] | np.ndarray, fps: float) -> bytes:
    """An endless GIF of uint8 frames [t, h, w, 3] with one palette for all of them.

    The palette holds the particles' and captions' colours beside those of the frames, or thin
    tracks would turn grey.

    GIF counts time in hundredths of a second and browsers slow down below two of them, so the
    rate is rounded and at most 50. Equal frames in a row become one that lasts as long.
    """
    # At most eight frames side by side stand for all: colours that come later count too.
    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, min(8, len(frames))).astype(int)]
    own = np.concatenate([PALETTE, [CONTEXT_COLOUR, FORECAST_COLOUR, (235, 235, 235)]])
    of_frames = Image.fromarray(np.concatenate(chosen, 1)).quantize(
        colors=255 - len(own), method=Image.Quantize.MEDIANCUT
    )
    palette = Image.new("P", (1, 1))
    palette.putpalette([*(of_frames.getpalette() or []), *own.ravel().tolist()])
    first, *rest = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    buffer = io.BytesIO()
    first.save(
        buffer,
        "GIF",
        save_all=True,
        append_images=rest,
        duration=max(20, round(100 / fps) * 10),
        loop=0,
        optimize=False,
    )
    return buffer.getvalue()


def png_bytes(picture: np.ndarray) -> bytes:
    """A uint8 picture [h, w, 3], or [h, w, 4] with alpha, as a PNG, packed in little time."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def write_gif(path: str | Path, frames: Sequence[np.ndarray] | np.ndarray, fps: float) -> None:
    """Write `gif_bytes` to a file, whole or not at all."""
    write_whole(path, gif_bytes(frames, fps))


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all: whoever reads it meets the old one or the new one.

    Raises:
        UserError: the disk is full or cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    try:
        with writing(path):
            part.write_bytes(content)
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
