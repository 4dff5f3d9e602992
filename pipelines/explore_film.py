"""Two futures side by side, as files to keep."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from data.write import write_mp4
from pipelines.draw import draw_particles, enlarge
from pipelines.explore_futures import Futures
from pipelines.film import (
    CONTEXT_COLOUR,
    FORECAST_COLOUR,
    bordered,
    enlargement,
    gif_bytes,
    step_caption,
)
from pipelines.forecast import Forecast
from pipelines.moments import Trails, moments

PANEL, TAIL = 256, 12
"""Least height of a film's panel, pixels; steps that a track's tail is long."""


def film(futures: Futures) -> Iterator[np.ndarray]:
    """Original | changed with their tracks, a frame a step, the context first."""
    factor = enlargement(futures.seen.frames, PANEL)
    radius = max(2.0, 0.03 * max(futures.seen.frames.shape[1:3]))
    both = (futures.original.forecast, futures.changed.forecast)
    trails = [Trails(TAIL) for _ in both]
    # Behind the rows that were found come those that were added: a past without them.
    more = both[1].identity.shape[1] - futures.seen.identity.shape[1]
    pasts = [futures.seen, _wider(futures.seen, more)]
    films = [moments([past, future]) for past, future in zip(pasts, both, strict=True)]
    context = len(futures.seen)
    for t, pair in enumerate(zip(*films, strict=True)):
        panels = [
            draw_particles(
                enlarge(now.frame, factor),
                now.position,
                now.transparency,
                factor=factor,
                identity=now.identity,
                trail=trail.follow(now),
                radius=radius,
            )
            for trail, now in zip(trails, pair, strict=True)
        ]
        width = panels[0].shape[1]
        titles = [step_caption(t, context, width, (n, n)) for n in ("original", "changed")]
        yield bordered(panels, titles, CONTEXT_COLOUR if t < context else FORECAST_COLOUR)


def _wider(forecast: Forecast, more: int) -> Forecast:
    """A forecast with so many empty rows more."""
    t = len(forecast)

    def grown(array: np.ndarray, filling: float) -> np.ndarray:
        new = np.full((t, more, *array.shape[2:]), filling, array.dtype)
        return np.concatenate([array, new], 1)

    return replace(
        forecast,
        position=grown(forecast.position, 0),
        transparency=grown(forecast.transparency, 0),
        appearance=grown(forecast.appearance, 0),
        identity=grown(forecast.identity, -1),
    )


def mp4(futures: Futures) -> bytes:
    """The film as H.264."""
    with tempfile.TemporaryDirectory(prefix="particlecast-") as folder:
        path = Path(folder) / "film.mp4"
        write_mp4(path, film(futures), futures.fps)
        return path.read_bytes()


def gif(futures: Futures) -> bytes:
    """The film as an endless GIF."""
    return gif_bytes(list(film(futures)), futures.fps)


def npz(futures: Futures) -> bytes:
    """original_, changed_ and samples_ (without frames) of frames, position, transparency,
    appearance and identity, as `rollout` writes them."""
    arrays = {
        f"{name}_{field.name}": getattr(future.forecast, field.name)
        for name, future in (("original", futures.original), ("changed", futures.changed))
        for field in fields(Forecast)
    }
    if futures.samples is not None:
        names = [field.name for field in fields(Forecast) if field.name != "frames"]
        arrays |= {f"samples_{name}": getattr(futures.samples, name) for name in names}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


FORMATS: dict[str, tuple[Callable[[Futures], bytes], str]] = {
    "mp4": (mp4, "video/mp4"),
    "gif": (gif, "image/gif"),
    "npz": (npz, "application/octet-stream"),
}
"""How a file of each kind is made, and its content type."""
