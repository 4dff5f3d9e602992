"""Videos to linked particles: encoded in a stream, cached in the run's folder."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

import dlp.particles
import dynamics.identity
import dynamics.tracks
from data.errors import UserError
from data.videos import Video
from dlp.build import ParticleModel
from dlp.particles import Particles, concatenate
from dynamics.identity import LinkConfig
from dynamics.tracks import Tracks, track
from pipelines.devices import agree, all_agree
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
    fabric: Fabric | None = None,
) -> list[Tracks]:
    """Encode and link each video, or read what an earlier run with the same key left.

    Args:
        model: stage 1, in eval mode.
        videos: frames of the model's size.
        cache: a safetensors file to read or write.
        key: of the model's weights and of the frames; another key, or linking that has changed,
            means another encoding.
        progress: called with a line of text and the share done.
        fabric: the processes that share the videos out, each encoding its own; None: this one.

    Raises:
        UserError: the disk is full or cannot be written.
    """
    key = f"{key}-{linking()}"
    rank, count = (fabric.global_rank, fabric.world_size) if fabric is not None else (0, 1)
    lengths = {index: len(video) for index, video in enumerate(videos)}
    known = _read(cache, key, lengths, model.config.features)
    # One process may meet a cache that another does not see.
    if all_agree(fabric, known is not None) and known is not None:
        return list(known.values())
    mine: dict[int, Tracks] = {}
    for index in range(rank, len(videos), count):
        mine[index] = track(encode_frames(model, videos[index].frames), model.size)
        if progress is not None and rank == 0:
            progress("encoding frames into particles", (index + 1) / len(videos))
    if fabric is not None and count > 1:
        mine = _exchange(mine, cache, key, lengths, model.config.features, fabric)
    if rank == 0:
        _write(cache, key, mine)
        _sweep(cache)
    return [mine[index] for index in range(len(videos))]


@functools.cache
def linking() -> str:
    """Hex; equal means that the same particles are linked into the same tracks."""
    digest = hashlib.sha256(repr(LinkConfig()).encode())
    for file in (dlp.particles.__file__, dynamics.identity.__file__, dynamics.tracks.__file__):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()[:32]


def _exchange(
    mine: dict[int, Tracks],
    cache: Path,
    key: str,
    lengths: dict[int, int],
    features: int,
    fabric: Fabric,
) -> dict[int, Tracks]:
    """All processes' tracks, by way of a file of each in the run's folder."""
    owner = agree(fabric, os.getpid())  # the first process, which sweeps them away
    ranks = range(fabric.world_size)
    parts = [cache.with_name(f".{cache.name}.{owner}.{i}.partial") for i in ranks]
    _write(parts[fabric.global_rank], key, mine)
    fabric.barrier()
    every: dict[int, Tracks] = {}
    for rank, part in enumerate(parts):
        its = {i: lengths[i] for i in range(rank, len(lengths), fabric.world_size)}
        if (found := _read(part, key, its, features)) is None:
            raise UserError(
                f"cannot read what process {rank} has encoded: {part}: all processes must see "
                "the same source and run folder: put both on a disk that all machines share"
            )
        every |= found
    fabric.barrier()
    return every


def _write(cache: Path, key: str, tracks: dict[int, Tracks]) -> None:
    """Save tracks aside, flush, then rename: a cache is whole or absent."""
    aside = cache.with_name(f".{cache.name.lstrip('.')}.{os.getpid()}.partial")
    tensors = {}
    for index, one in tracks.items():
        for name in FIELDS:
            tensors[f"{index}.{name}"] = getattr(one, name).contiguous()
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, aside, metadata={"key": key, "videos": str(len(tracks))})
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, cache)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot save the particles in {cache}: {error}: free some space there, then run the "
            "same command again"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def _sweep(cache: Path) -> None:
    """Remove what is left half-written, but not what another process still writes."""
    for stray in cache.parent.glob(f".{cache.name}.*.partial"):
        owner = stray.name.removeprefix(f".{cache.name}.").split(".")[0]
        if owner == str(os.getpid()) or not _is_alive(owner):
            stray.unlink(missing_ok=True)


def _is_alive(process: str) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(int(process), 0)
    except PermissionError:  # another user's
        return True
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    return True


def _read(
    cache: Path, key: str, lengths: dict[int, int], features: int
) -> dict[int, Tracks] | None:
    """The tracks of a cache with this key; None if there is none or it is unfit.

    Args:
        lengths: frames of each video.
        features: D of the particles' appearance.
    """
    found = {}
    try:
        with safe_open(cache, framework="pt") as file:
            if file.metadata() != {"key": key, "videos": str(len(lengths))}:
                return None
            for index, length in lengths.items():
                one = Tracks(*(file.get_tensor(f"{index}.{name}") for name in FIELDS))
                if not _fits(one, length, features):
                    return None
                found[index] = one
    except (OSError, SafetensorError):
        return None
    return found


def _fits(tracks: Tracks, length: int, features: int) -> bool:
    """Whether tracks, perhaps of a stranger's file, can be those of a video."""
    rows = (length, *tracks.seen.shape[1:2])
    expected = {
        "position": (*rows, 2),
        "code": (*rows, features + 3),
        "seen": rows,
        "left": rows,
        "deviation": (*rows, 2),
    }
    return all(
        tuple(tensor.shape) == shape and tensor.dtype == kind and bool(tensor.isfinite().all())
        for name, shape in expected.items()
        for tensor, kind in [
            (getattr(tracks, name), torch.bool if name in ("seen", "left") else torch.float32)
        ]
    )
