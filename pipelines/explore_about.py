"""What the page is told as it opens."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from dlp.particles import LIVE
from pipelines.directions import COLUMNS, Directions
from pipelines.draw import PALETTE
from pipelines.explore_json import MOST
from pipelines.explore_scenes import NOT_TRAINED, World

LISTED = 1000
"""Videos that the page can choose from."""


@dataclass(frozen=True)
class Limits:
    """What a page may ask for at most."""

    upload_bytes: int = 100 << 20
    """Bytes of a dropped file."""
    pixels: int = 1 << 25
    """Pixels of a dropped file's frame."""
    frames: int = 300
    """Frames of a dropped clip; the rest is left out."""
    horizon: int = 200
    """Steps of a rollout."""
    samples: int = 20
    """Sampled futures of a rollout."""
    particles: int = MOST
    """Particles of a scene."""


def describe(world: World, directions: Directions, limits: Limits) -> dict[str, Any]:
    """The run, the clips, the ranges of what can be set, as JSON."""
    config, dynamics = world.model.config, world.dynamics
    weighs = dynamics is not None and dynamics.config.conv not in ("gcn", "summed")
    return {
        "version": version("particlecast"),
        "run": world.run,
        "source": world.source,
        "model": config.model,
        "size": world.model.size,
        "k": config.particles,
        "features": config.features,
        "glimpse": config.glimpse,
        "scale": world.ranges.scale,
        "depth": world.ranges.depth,
        "live": LIVE,
        "palette": PALETTE.tolist(),
        "context": world.context,
        "forecasts": dynamics is not None,
        "reason": NOT_TRAINED if dynamics is None else "",
        "attention": weighs,
        "sampling": dynamics is not None and dynamics.config.chance > 0,
        "videos": [{"name": v.name, "frames": len(v)} for v in world.videos[:LISTED]],
        "fps": world.videos[0].fps,
        "limits": vars(limits),
        "directions": _directions(directions),
        "directions_columns": COLUMNS,
    }


def _directions(found: Directions) -> list[dict[str, Any]]:
    """The directions of appearance as JSON."""
    return [
        {
            "name": str(index + 1),
            "share": float(found.share[index]),
            "low": float(found.low[index]),
            "high": float(found.high[index]),
            "vector": found.vectors[index].tolist(),
            "mean": found.mean.tolist(),
        }
        for index in range(len(found.vectors))
    ]
