"""Videos to linked particles: encoded in a stream, cached in the run's folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from data.errors import UserError
from data.videos import Video
from dlp.build import ParticleModel
from dlp.particles import Particles, concatenate
from dynamics.tracks import Tracks, track
from pipelines.frames import to_tensor

CHUNK = 64
FIELDS = ("position", "code", "seen", "left", "deviation")


@torch.no_grad()
def encode_frames(model: ParticleModel, frames: np.ndarray) -> Particles:
    """The particles of frames [t, h, w, 3] uint8, [t, k, ...] on the CPU, chunk by chunk."""
    device = model.background_image().device
    chunks = [
        model.encode(to_tensor(frames[start : start + CHUNK]).to(device)).particles
        for start in range(0, len(frames), CHUNK)
    ]
    return concatenate([chunk.apply(lambda tensor: tensor.cpu()) for chunk in chunks])


def encode_tracks(
    model: ParticleModel,
    videos: Sequence[Video],
    cache: Path,
    key: str,
    progress: Callable[[str, float], None] | None = None,
) -> list[Tracks]:
    """Encode and link each video, or read what an earlier run with the same key left.

    Args:
        model: stage 1, in eval mode.
        videos: frames of the model's size.
        cache: a safetensors file to read or write.
        key: of the model's weights and of the frames; another key means another encoding.
        progress: called with a line of text and the share done.

    Raises:
        UserError: the disk is full or cannot be written.
    """
    if (known := _read(cache, key, len(videos))) is not None:
        return known
    tracks = []
    for index, video in enumerate(videos):
        tracks.append(track(encode_frames(model, video.frames), model.size))
        if progress is not None:
            progress("encoding frames into particles", (index + 1) / len(videos))
    _write(cache, key, tracks)
    return tracks


def _write(cache: Path, key: str, tracks: Sequence[Tracks]) -> None:
    """Save tracks aside, then rename: a cache is whole or absent."""
    aside = cache.with_name(f".{cache.name}.{os.getpid()}.partial")
    tensors = {}
    for index, one in enumerate(tracks):
        for name in FIELDS:
            tensors[f"{index}.{name}"] = getattr(one, name).contiguous()
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, aside, metadata={"key": key, "videos": str(len(tracks))})
        os.replace(aside, cache)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot save the particles in {cache}: {error}: free some space there, then run the "
            "same command again"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def _read(cache: Path, key: str, videos: int) -> list[Tracks] | None:
    """The tracks of a cache with this key; None if there is no such cache or it is damaged."""
    try:
        with safe_open(cache, framework="pt") as file:
            if file.metadata() != {"key": key, "videos": str(videos)}:
                return None
            return [
                Tracks(*(file.get_tensor(f"{i}.{name}") for name in FIELDS)) for i in range(videos)
            ]
    except (OSError, SafetensorError):
        return None
