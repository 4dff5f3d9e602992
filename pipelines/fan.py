"""Many sampled futures in one film: their tracks over one another, as a fan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from pipelines.draw import dim, draw_tracks, enlarge
from pipelines.film import enlargement, film_row
from pipelines.forecast import Forecast
from pipelines.moments import Trails, moments


def fan(
    frame: np.ndarray,
    paths: np.ndarray,
    transparency: np.ndarray,
    identity: np.ndarray,
    *,
    factor: int = 1,
) -> np.ndarray:
    """The tracks of s futures up to now, so faint that where many agree it shows.

    Args:
        frame: [h * factor, w * factor, 3] uint8, already enlarged; left as it is.
        paths: [s, t, k, 2] (x, y) in pixels before enlargement, the latest t positions with now
            as the last; NaN where there is none.
        transparency: [s, k] in [0, 1], now; below `LIVE` a particle is not drawn.
        identity: [s, k] ints that choose the colours; -1: none.
        factor: how much the frame was enlarged.

    Returns:
        [h * factor, w * factor, 3] uint8, a new frame.
    """
    opacity = len(paths) ** -0.5
    for path, seen, who in zip(paths, transparency, identity, strict=True):
        frame = draw_tracks(frame, path, seen, who, factor=factor, opacity=opacity)
    return frame


def fan_frames(
    true: np.ndarray,
    seen: Forecast,
    parts: Iterable[Forecast],
    sampled: Sequence[Forecast],
    *,
    panel_height: int = 256,
    tail: int = 24,
) -> Iterator[np.ndarray]:
    """Truth | prediction | fan of the sampled futures' tracks, a frame a step.

    The fan lies over the darkened prediction. In the context, where all futures are still one,
    it is the track of that.

    Args:
        true: [at most c + t, h, w, 3] uint8; where it has ended its panel stays dark.
        seen: the c frames of the context.
        parts: the t predicted ones, the panel in the middle; one part in memory at a time.
        sampled: s futures of t steps each, whose frames are not looked at.
        panel_height: least height of a panel in the film; frames are enlarged by a whole factor.
        tail: steps that a track is long.

    Yields:
        [H, W, 3] uint8, H and W even, as H.264 needs.

    Raises:
        ValueError: no sample, or one that is not as long as the forecast.
    """
    if not sampled:
        raise ValueError("fan_frames: no sample: expected at least one")
    factor, title = enlargement(true, panel_height), f"{len(sampled)} sampled futures"
    trails = [Trails(tail) for _ in sampled]
    futures = zip(*(moments([seen, sample]) for sample in sampled), strict=True)
    for t, (now, drawn) in enumerate(zip(moments(chain([seen], parts)), futures, strict=True)):
        tracks = fan(
            dim(enlarge(now.frame, factor), 0.55),  # faint tracks need a darker ground
            np.stack([trail.follow(one) for trail, one in zip(trails, drawn, strict=True)]),
            np.stack([one.transparency for one in drawn]),
            np.stack([one.identity for one in drawn]),
            factor=factor,
        )
        yield film_row(true, now.frame, tracks, title, t=t, context=len(seen.frames))
