"""A set of videos is encoded in a stream: at no time are more than CHUNK of its frames at hand."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from data.errors import UserError
from data.videos import Video
from dlp.particles import Particles
from dynamics import identity
from pipelines.encode import CHUNK, encode_frames, encode_tracks, linking

SIDE = 8


class Counted:
    """Frames that are made when they are asked for; counts the most that were asked for at once."""

    most = 0

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, some: slice) -> np.ndarray:
        count = len(range(self.length)[some])
        Counted.most = max(Counted.most, count)
        return np.full((count, SIDE, SIDE, 3), 50, np.uint8)


class Made:
    """One particle in the middle of each frame; counts frames."""

    size = (SIDE, SIDE)
    config = SimpleNamespace(features=1)
    seen = 0

    def background_image(self) -> torch.Tensor:
        return torch.zeros(3, SIDE, SIDE)

    def encode(self, image: torch.Tensor) -> Any:
        self.seen += len(image)
        one = torch.ones(len(image), 1)
        middle = torch.zeros(len(image), 1, 2)
        return SimpleNamespace(
            particles=Particles(middle, middle - 9, one[..., None], one, one, one)
        )


def video(name: str, length: int) -> Video:
    return Video(name, Counted(length))  # type: ignore[arg-type]


def test_a_long_video_is_never_at_hand_as_a_whole():
    Counted.most, model = 0, Made()
    particles = encode_frames(model, video("long", 10 * CHUNK + 3).frames)  # type: ignore[arg-type]
    assert particles.position.shape == (10 * CHUNK + 3, 1, 2)
    assert Counted.most == CHUNK


def test_videos_are_encoded_once_and_then_read(tmp_path: Path):
    model, videos = Made(), [video(f"{i}", CHUNK + i) for i in range(4)]
    first = encode_tracks(model, videos, tmp_path / "cache", "key")  # type: ignore[arg-type]
    assert model.seen == 4 * CHUNK + 6
    again = encode_tracks(model, videos, tmp_path / "cache", "key")  # type: ignore[arg-type]
    assert model.seen == 4 * CHUNK + 6
    assert all(torch.equal(a.position, b.position) for a, b in zip(first, again, strict=True))
    encode_tracks(model, videos, tmp_path / "cache", "another key")  # type: ignore[arg-type]
    assert model.seen == 2 * (4 * CHUNK + 6)


def test_what_another_version_linked_is_linked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model, videos, before = Made(), [video("0", 7)], linking()
    encode_tracks(model, videos, tmp_path / "cache", "key")  # type: ignore[arg-type]
    changed = tmp_path / "identity.py"
    changed.write_text(f"{Path(identity.__file__).read_text()}\n# Changed.\n")
    monkeypatch.setattr(identity, "__file__", str(changed))
    linking.cache_clear()
    assert linking() != before
    encode_tracks(model, videos, tmp_path / "cache", "key")  # type: ignore[arg-type]
    assert model.seen == 14
    monkeypatch.undo()
    linking.cache_clear()
    assert linking() == before


def test_what_another_process_writes_stays_and_what_a_killed_one_left_goes(tmp_path: Path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    other, gone, mine = os.getppid(), ended.pid, os.getpid()
    names = [f".cache.{other}.partial", f".cache.{other}.1.partial", f".cache.{gone}.partial"]
    names += [f".cache.{gone}.0.partial", f".cache.{mine}.1.partial", f".other.{gone}.partial"]
    for name in names:
        (tmp_path / name).touch()
    encode_tracks(Made(), [video("0", 7)], tmp_path / "cache", "key")  # type: ignore[arg-type]
    kept = [names[0], names[1], names[5], "cache"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_a_cache_that_does_not_reach_the_disk_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot save the particles in .*: free some space"):
        encode_tracks(Made(), [video("0", 7)], tmp_path / "cache", "key")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda name, tensor: tensor[:-1],
        lambda name, tensor: tensor[:, :0] if name.endswith("seen") else tensor,
        lambda name, tensor: tensor.double() if name.endswith("code") else tensor,
        lambda name, tensor: tensor * torch.nan if name.endswith("position") else tensor,
        lambda name, tensor: tensor[None],
        lambda name, tensor: torch.zeros(()),
    ],
)
def test_a_strangers_particles_are_encoded_again(tmp_path: Path, damage: Any):
    model, videos = Made(), [video("0", 7)]
    encode_tracks(model, videos, tmp_path / "cache", "key")  # type: ignore[arg-type]
    good = load_file(tmp_path / "cache")
    with safe_open(tmp_path / "cache", framework="pt") as file:
        metadata = file.metadata()
    bad = {name: damage(name, tensor).contiguous() for name, tensor in good.items()}
    save_file(bad, tmp_path / "cache", metadata)
    encode_tracks(model, videos, tmp_path / "cache", "key")  # type: ignore[arg-type]
    assert model.seen == 14
    torch.testing.assert_close(load_file(tmp_path / "cache"), good, rtol=0, atol=0)
