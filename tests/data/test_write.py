"""Films that are written as they come."""

from __future__ import annotations

import errno
import resource
from pathlib import Path

import av
import numpy as np
import pytest

from data.errors import UserError
from data.write import Mp4Writer, write_mp4


def ramp(count: int, height: int = 32, width: int = 48) -> np.ndarray:
    """[t, h, w, 3] frames of which each is another."""
    y, x = np.mgrid[:height, :width]
    frames = [np.stack([x * 4 + 8 * t, y * 6, x * 0 + 20 * t], -1) % 256 for t in range(count)]
    return np.stack(frames).astype(np.uint8)


def read(path: Path) -> np.ndarray:
    with av.open(str(path)) as film:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)])


def test_a_film_in_parts_is_the_one_written_at_once(tmp_path: Path) -> None:
    frames = ramp(12)
    write_mp4(tmp_path / "whole.mp4", frames, fps=10)
    with Mp4Writer(tmp_path / "parts.mp4", fps=10) as film:
        for part in (frames[:5], frames[5:6], frames[:0], frames[6:]):
            film.append(part)
    whole = read(tmp_path / "whole.mp4")
    assert whole.shape == frames.shape
    assert (tmp_path / "parts.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert np.abs(whole.astype(int) - frames).mean() < 12  # each frame is itself, not another
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts.mp4", "whole.mp4"]


def test_frames_are_taken_one_at_a_time(tmp_path: Path) -> None:
    taken: list[int] = []
    frames = ramp(6)

    def coming():
        for index, frame in enumerate(frames):
            taken.append(index)
            yield frame

    with Mp4Writer(tmp_path / "film.mp4", fps=10) as film:
        film.append(iter([frames[0]]))
        assert film.count == 1
        assert not (tmp_path / "film.mp4").exists()  # it appears when it is whole
        film.append(coming())
        assert (film.count, taken) == (7, list(range(6)))
    assert len(read(tmp_path / "film.mp4")) == 7


def written(path: Path, *parts: np.ndarray, then: Exception | None = None) -> None:
    """A film in parts, and what goes wrong after them."""
    with Mp4Writer(path, fps=10) as film:
        for part in parts:
            film.append(part)
        if then is not None:
            raise then


@pytest.mark.parametrize("frames", [0, 1, 40])
def test_an_exception_leaves_the_old_film_and_nothing_else(tmp_path: Path, frames: int) -> None:
    path = tmp_path / "film.mp4"
    path.write_text("old")
    with pytest.raises(KeyError, match="mine"):
        written(path, ramp(40)[:frames], then=KeyError("mine"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_frame_is_no_film(tmp_path: Path) -> None:
    for parts in ([], [ramp(1)[:0]]):
        with pytest.raises(UserError, match=r"no frames: .*film\.mp4"):
            written(tmp_path / "film.mp4", *parts)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("odd", "found"),
    [
        (ramp(1, 16)[0], r"uint8 \(16, 48, 3\)"),
        (ramp(1)[0].astype(np.float32), r"float32 \(32, 48, 3\)"),
        (ramp(1)[0, :, :, 0], r"uint8 \(32, 48\)"),
    ],
)
def test_a_frame_of_another_size_or_type_is_named(
    tmp_path: Path, odd: np.ndarray, found: str
) -> None:
    with pytest.raises(ValueError, match=rf"frame 3 is {found}: expected uint8 \(32, 48, 3\)"):
        written(tmp_path / "film.mp4", ramp(3), odd[None])
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write: .*nowhere.film\.mp4: No such file"):
        written(tmp_path / "nowhere" / "film.mp4", ramp(2))


def test_a_folder_that_is_none_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write: .*film\.mp4: Not a directory"):
        written(tmp_path / "file" / "film.mp4", ramp(2))


@pytest.mark.parametrize("frames", [8, 100])
def test_a_full_disk_is_the_users_to_mend(tmp_path: Path, frames: int) -> None:
    """Noise, that takes more than 20 kilobytes, where there is room for no more."""
    noise = np.random.default_rng(0).integers(0, 256, (frames, 64, 64, 3), np.uint8)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write: .*film\.mp4: .*free some space"):
            written(tmp_path / "film.mp4", noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_may_not_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("data.write.av.open", refuse)  # root may write anywhere
    with pytest.raises(UserError, match=r"cannot write: .*film\.mp4: Permission denied"):
        write_mp4(tmp_path / "film.mp4", ramp(2), fps=10)
    assert not list(tmp_path.iterdir())
