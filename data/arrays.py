"""Videos in one array file: .npy, .npz or HDF5, read a frame at a time."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from data.decode import BadFile, Reading
from data.errors import UserError
from data.frames import FrameConfig

HDF5_SUFFIXES = (".h5", ".hdf5")
ARRAY_SUFFIXES = (".npy", ".npz", *HDF5_SUFFIXES)
KEYS = ("frames", "imgs")
# Room for one chunk of a compressed data set, which would else be unpacked for every frame.
CHUNK_CACHE = 64 << 20
# numpy takes a header apart as Python's own words, and h5py a file as its own links.
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    NotImplementedError,
    SyntaxError,
    RecursionError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class VideoArray:
    """An opened array of videos.

    Args:
        videos, frames, height, width: its sizes.
        frame: (video, frame) to [height, width, 3] uint8; cheapest in order.
    """

    videos: int
    frames: int
    height: int
    width: int
    frame: Callable[[int, int], np.ndarray]

    def read(self, video: int, where: str, config: FrameConfig) -> Reading:
        """Open one of the videos."""
        picks = config.picks(self.frames)
        return Reading(self._draw(video, where, picks), expected=len(picks))

    def _draw(self, video: int, where: str, picks: range) -> Iterator[np.ndarray]:
        for index in picks:
            try:
                yield self.frame(video, index)
            except DAMAGE as error:
                raise BadFile(
                    f"damaged array: {where}: frame {index} cannot be read: copy the file again"
                ) from error


def open_array(path: Path) -> VideoArray:
    """Open [N, T, H, W, 3] (N videos) or [T, H, W, 3] (one long video) of uint8.

    Nothing is loaded but the header; a compressed .npz is unpacked as a stream.

    Raises:
        UserError: damaged, not permitted, no such array inside, wrong rank or type.
    """
    suffix = path.suffix.lower()
    opener = {".npy": _open_npy, ".npz": _open_npz}.get(suffix, _open_hdf5)
    try:
        return opener(path)
    except PermissionError as error:
        raise UserError(f"no permission to read: {path}: allow it with chmod u+r") from error
    except DAMAGE as error:
        raise UserError(
            f"damaged array file: {path}: it is cut short or not {suffix[1:]}: "
            "copy or save it again"
        ) from error


def _sizes(path: Path, shape: tuple[int, ...], kind: np.dtype) -> tuple[int, int, int, int]:
    """(videos, frames, height, width) of an acceptable array."""
    if kind != np.uint8:
        raise UserError(
            f"wrong type of array: {path}: {kind}, expected uint8 (0 to 255): "
            "scale and save it with .astype('uint8')"
        )
    if len(shape) not in (4, 5) or shape[-1] != 3:
        raise UserError(
            f"wrong shape of array: {path}: {list(shape)}, expected [N, T, H, W, 3] or "
            "[T, H, W, 3]: put the axes in this order, and repeat a single channel three times"
        )
    if 0 in shape:
        raise UserError(f"empty array: {path}: {list(shape)}: save it again with frames in it")
    videos, frames, height, width = (1, *shape[:3]) if len(shape) == 4 else shape[:4]
    return videos, frames, height, width


def _open_npy(path: Path) -> VideoArray:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    sizes = _sizes(path, array.shape, array.dtype)
    videos = array.reshape(1, *array.shape) if array.ndim == 4 else array
    return VideoArray(*sizes, lambda video, frame: np.asarray(videos[video, frame]))


def _open_npz(path: Path) -> VideoArray:
    with ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(path))
        stream = stack.enter_context(archive.open(_key(path, archive) + ".npy"))
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, kind = read_header(stream)
        videos, frames, height, width = _sizes(path, shape, kind)
        if fortran:
            raise UserError(
                f"wrong order of array: {path}: saved column by column (Fortran): "
                "save it again with np.ascontiguousarray"
            )
        stack.pop_all()  # the frames are read from it later
    begin, length = stream.tell(), height * width * 3

    def frame(video: int, index: int) -> np.ndarray:
        # Seeking forward unpacks and drops what lies between; frames come in order.
        stream.seek(begin + (video * frames + index) * length)
        data = stream.read(length)
        if len(data) < length:
            raise EOFError
        return np.frombuffer(data, np.uint8).reshape(height, width, 3)

    return VideoArray(videos, frames, height, width, frame)


def _key(path: Path, archive: zipfile.ZipFile) -> str:
    """Which array of an .npz holds the frames."""
    names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    chosen = [key for key in KEYS if key in names] or (names if len(names) == 1 else [])
    if not chosen:
        found = ", ".join(sorted(names)[:5]) or "none"
        raise UserError(f"no frames in: {path}: found arrays {found}: name the array 'frames'")
    return chosen[0]


def _open_hdf5(path: Path) -> VideoArray:
    with ExitStack() as stack:
        file = stack.enter_context(h5py.File(path, "r", rdcc_nbytes=CHUNK_CACHE))
        images = file.get("imgs")
        if not isinstance(images, h5py.Dataset):
            found = ", ".join(sorted(file)[:5]) or "nothing"
            raise UserError(f"no 'imgs' in: {path}: found {found}: name the data set 'imgs'")
        sizes = _sizes(path, images.shape, images.dtype)
        stack.pop_all()  # the frames are read from it later
    if images.ndim == 4:
        return VideoArray(*sizes, lambda _, frame: images[frame])
    return VideoArray(*sizes, lambda video, frame: images[video, frame])
