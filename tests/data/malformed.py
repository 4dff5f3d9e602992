"""Sources that are not as they should be, made on the spot: each by a function of a folder."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np
from PIL import Image

from tests.data.files import cut, moving_square, write_video

FILM = moving_square(6, 32, 48)
Maker = Callable[[Path], Path]


def coded(path: Path, codec: str, pixels: str, size: tuple[int, int] = (32, 48)) -> Path:
    """A film of any codec and pixel format."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = *size, pixels
        for image in moving_square(6, *size):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame.reformat(format=pixels)))
        container.mux(stream.encode())
    return path


def uneven(path: Path) -> Path:
    """Frames that last differently long."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for image, at in zip(FILM, (0, 10, 500, 510, 2000, 2001), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def sound(path: Path) -> Path:
    """A file of sound alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        samples = np.zeros((1, 8000), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def lying(path: Path, claimed: int) -> Path:
    """An mp4 whose index says how many samples there are, and lies."""
    write_video(path, FILM)
    data = bytearray(path.read_bytes())
    at = data.index(b"stsz") + 12
    assert struct.unpack_from(">I", data, at) == (len(FILM),)
    struct.pack_into(">I", data, at, claimed)
    path.write_bytes(data)
    return path


def holes(path: Path, share: float, length: int = 400) -> Path:
    """Bytes in the middle of a film wiped out."""
    noise = np.random.default_rng(0).integers(0, 255, (12, 32, 48, 3), np.uint8)
    write_video(path, noise, options={"movflags": "faststart"} if path.suffix == ".mp4" else {})
    data = bytearray(path.read_bytes())
    at = int(len(data) * share)
    data[at : at + length] = bytes(len(data[at : at + length]))
    path.write_bytes(data)
    return path


def text(path: Path, content: bytes) -> Path:
    """Any bytes under a name."""
    path.write_bytes(content)
    return path


def array(path: Path, values: np.ndarray, key: str = "") -> Path:
    """An array in a file of the suffix's kind."""
    if path.suffix == ".npy":
        np.save(path, values, allow_pickle=values.dtype == object)
    elif path.suffix == ".npz":
        np.savez_compressed(path, allow_pickle=False, **{key or "frames": values})
    else:
        with h5py.File(path, "w") as file:
            file[key or "imgs"] = values
    return path


def frames(folder: Path, modes: str = "RGB", suffix: str = ".png", count: int = 6) -> Path:
    """A folder of numbered frames of an image mode."""
    folder.mkdir()
    for index, image in enumerate(moving_square(count, 32, 48)):
        Image.fromarray(image).convert(modes).save(folder / f"f{index}{suffix}")
    return folder


def frames_with(folder: Path, number: int, content: bytes) -> Path:
    """A folder of frames one of which is something else."""
    frames(folder)
    (folder / f"f{number}.png").write_bytes(content)
    return folder


def grey16(folder: Path) -> Path:
    """Frames of 16-bit grey."""
    folder.mkdir()
    for index in range(6):
        grey = np.full((32, 48), 1000 * index, np.uint16)
        Image.fromarray(grey).save(folder / f"f{index}.png")
    return folder


def turned(folder: Path) -> Path:
    """A phone's photographs, with a note of how to turn them."""
    folder.mkdir()
    for index, image in enumerate(FILM):
        made = Image.fromarray(image)
        exif = made.getexif()
        exif[0x0112] = 6
        made.save(folder / f"f{index}.jpg", exif=exif)
    return folder


def animated(path: Path, count: int) -> Path:
    """A gif, with an empty comment and a transparent ground."""
    first, *rest = [Image.fromarray(f).quantize(8) for f in moving_square(count, 32, 48)]
    first.save(path, save_all=True, append_images=rest, duration=100, transparency=0)
    return path


def loop(folder: Path) -> Path:
    """A folder that holds a link to itself, beside a film."""
    write_video(folder / "sub" / "a.mp4", FILM)
    (folder / "sub" / "again").symlink_to(folder, target_is_directory=True)
    (folder / "self.mp4").symlink_to("self.mp4")
    return folder


def only_loop(folder: Path) -> Path:
    """A folder that holds a link to itself alone."""
    folder.mkdir()
    (folder / "again").symlink_to(folder, target_is_directory=True)
    return folder


def odd_name(folder: Path, name: bytes) -> Path:
    """A folder with a film under a name that no text decodes to, or a very long one."""
    write_video(folder / "a.mp4", FILM)
    os.rename(os.fsencode(folder / "a.mp4"), os.path.join(os.fsencode(folder), name))
    return folder


def tracks(path: Path, **arrays: np.ndarray) -> Path:
    """A film with true tracks beside it that may not fit."""
    write_video(path, FILM)
    np.savez(path.with_name("a.tracks.npz"), allow_pickle=False, **arrays)
    return path


def hundred(folder: Path, bad: int) -> Path:
    """A hundred films, one of them cut short."""
    model = write_video(folder / "film_000.mp4", FILM)
    for index in range(1, 100):
        (folder / f"film_{index:03d}.mp4").write_bytes(model.read_bytes())
    cut(folder / f"film_{bad:03d}.mp4", 0.5)
    return folder


def empty(path: Path) -> Path:
    """A folder of nothing."""
    path.mkdir()
    return path


def truth(**changes: np.ndarray) -> dict[str, np.ndarray]:
    """Tracks of one thing over FILM, some of them changed."""
    good = {
        "position": np.full((6, 1, 2), 9.0),
        "visible": np.ones((6, 1), bool),
        "radius": np.full((6, 1), 4.0),
    }
    return {**good, **changes}


def dangling(path: Path) -> Path:
    """A link to nothing."""
    path.symlink_to("gone.mp4")
    return path


SET = np.stack([FILM, FILM[::-1]])
NAN = np.full((6, 8, 8, 3), np.nan, np.float32)

WORKS: dict[str, tuple[Maker, tuple[int, int, int]]] = {
    # name: how it is made; frames, height and width as stored
    "header lies low (mp4)": (lambda p: lying(p / "a.mp4", 3), (3, 32, 48)),
    "phone, portrait": (lambda p: write_video(p / "a.mp4", FILM, turn=90), (6, 48, 32)),
    "odd sizes": (lambda p: coded(p / "a.mkv", "ffv1", "bgr0", (33, 47)), (6, 32, 48)),
    "tiny": (lambda p: coded(p / "a.mkv", "ffv1", "bgr0", (2, 2)), (6, 8, 8)),
    "one row": (lambda p: coded(p / "a.mkv", "ffv1", "bgr0", (1, 64)), (6, 8, 64)),
    "variable frame rate": (lambda p: uneven(p / "a.mp4"), (6, 32, 48)),
    "10 bit": (lambda p: coded(p / "a.mp4", "libx264", "yuv420p10le"), (6, 32, 48)),
    "4:4:4": (lambda p: coded(p / "a.mp4", "libx264", "yuv444p"), (6, 32, 48)),
    "grayscale": (lambda p: coded(p / "a.mkv", "ffv1", "gray"), (6, 32, 48)),
    "16-bit grayscale": (lambda p: coded(p / "a.mkv", "ffv1", "gray16le"), (6, 32, 48)),
    "alpha": (lambda p: coded(p / "a.mkv", "ffv1", "bgra"), (6, 32, 48)),
    "alpha in webm": (lambda p: coded(p / "a.webm", "libvpx-vp9", "yuva420p"), (6, 32, 48)),
    "full range jpeg": (lambda p: coded(p / "a.avi", "mjpeg", "yuvj420p"), (6, 32, 48)),
    "one frame": (lambda p: write_video(p / "a.mp4", FILM[:1]), (1, 32, 48)),
    "animated gif": (lambda p: animated(p / "a.gif", 6), (6, 32, 48)),
    "gif of one frame": (lambda p: animated(p / "a.gif", 1), (1, 32, 48)),
    "one frame array": (lambda p: array(p / "a.npy", FILM[:1]), (1, 32, 48)),
    "column order": (lambda p: array(p / "a.npy", np.asfortranarray(SET)), (6, 32, 48)),
    "grey frames": (lambda p: frames(p / "a", "L"), (6, 32, 48)),
    "palette frames": (lambda p: frames(p / "a", "P"), (6, 32, 48)),
    "transparent frames": (lambda p: frames(p / "a", "RGBA"), (6, 32, 48)),
    "CMYK frames": (lambda p: frames(p / "a", "CMYK", ".jpg"), (6, 32, 48)),
    "16-bit grey frames": (lambda p: grey16(p / "a"), (6, 32, 48)),
    "turned photographs": (lambda p: turned(p / "a"), (6, 48, 32)),
    "a link loop": (lambda p: loop(p / "a"), (6, 32, 48)),
    "a name that is no UTF-8": (lambda p: odd_name(p / "a", b"f\xff\xfe.mp4"), (6, 32, 48)),
    "a very long name": (lambda p: odd_name(p / "a", b"x" * 251 + b".mp4"), (6, 32, 48)),
    "a name of spaces": (lambda p: odd_name(p / "a", b"   .mp4"), (6, 32, 48)),
    "a name of two lines": (lambda p: odd_name(p / "a", b"a\nb.mp4"), (6, 32, 48)),
    "a film under another suffix": (
        lambda p: write_video(p / "a.mp4", FILM).rename(p / "a.avi"),
        (6, 32, 48),
    ),
}

BAD_FILES: dict[str, tuple[Maker, str]] = {
    # that may lie among good ones. name: how it is made; what the one line says
    "truncated mp4": (lambda p: cut(write_video(p / "a.mp4", FILM), 0.6), "cut short"),
    "truncated mkv": (lambda p: cut(write_video(p / "a.mkv", FILM), 0.6), "cut short"),
    "truncated avi": (lambda p: cut(write_video(p / "a.avi", FILM), 0.6), "cut short"),
    "truncated gif": (lambda p: cut(write_video(p / "a.gif", FILM), 0.6), "cut short"),
    "truncated webm": (lambda p: cut(write_video(p / "a.webm", FILM), 0.6), "cut short"),
    "nothing but a header": (lambda p: cut(write_video(p / "a.mp4", FILM), 0.02), "cut short|not"),
    "zero bytes": (lambda p: text(p / "a.mp4", b""), "empty file"),
    "zeros": (lambda p: text(p / "a.mp4", bytes(5000)), "not a readable video"),
    "noise": (lambda p: text(p / "a.mkv", os.urandom(5000)), "not a readable video"),
    "text": (lambda p: text(p / "a.mp4", b"not a film\n" * 50), "not a readable video"),
    "zero frames": (lambda p: lying(p / "a.mp4", 0), "no frames|not a readable|damaged"),
    "header lies high": (lambda p: lying(p / "a.mp4", 10**6), "not a readable|damaged|no frames"),
    "sound alone": (lambda p: sound(p / "a.mp4"), "no picture"),
    "a hole in mp4": (lambda p: holes(p / "a.mp4", 0.5), "damaged video"),
    "frames, one damaged": (lambda p: frames_with(p / "a", 3, b"x" * 99), "damaged image"),
    "frames, one empty": (lambda p: frames_with(p / "a", 3, b""), "damaged image"),
    "tracks of another film": (
        lambda p: tracks(p / "a.mp4", **truth(position=np.zeros((9, 1, 2)))),
        "tracks",
    ),
    "tracks with NaN": (
        lambda p: tracks(p / "a.mp4", **truth(position=np.full((6, 1, 2), np.nan))),
        "no finite place",
    ),
    "tracks of a wrong rank": (
        lambda p: tracks(p / "a.mp4", **truth(position=np.zeros((6, 2)))),
        "expected \\[t, n, 2\\]",
    ),
    "tracks that are texts": (
        lambda p: tracks(p / "a.mp4", **truth(radius=np.full((6, 1), "x"))),
        "damaged tracks",
    ),
}

BAD_SOURCES: dict[str, tuple[Maker, str]] = {
    # all that there is. name: how it is made; what the one line says
    "a dangling link": (lambda p: dangling(p / "a.mp4"), "no such file"),
    "an empty folder": (lambda p: empty(p / "a"), "no videos in the folder"),
    "a folder of links to itself": (lambda p: only_loop(p / "a"), "no videos in the folder"),
    "an unknown kind": (lambda p: text(p / "a.doc", b"x"), "unknown kind of file"),
    "float array": (lambda p: array(p / "a.npy", FILM / 255), "float64, expected uint8"),
    "NaN": (lambda p: array(p / "a.npz", NAN), "float32, expected uint8"),
    "16-bit array": (lambda p: array(p / "a.h5", FILM.astype(np.uint16)), "uint16, expected"),
    "texts": (lambda p: array(p / "a.npy", np.array(["a", "b"])), "expected uint8"),
    "objects": (lambda p: array(p / "a.npy", np.array([{}, {}], object)), "damaged|wrong type"),
    "rank 3": (lambda p: array(p / "a.npy", FILM[0]), "wrong shape"),
    "rank 6": (lambda p: array(p / "a.npz", SET[None]), "wrong shape"),
    "channels first": (lambda p: array(p / "a.h5", FILM.transpose(0, 3, 1, 2)), "wrong shape"),
    "no frames at all": (lambda p: array(p / "a.npy", FILM[:0]), "empty array"),
    "HDF5 without the key": (lambda p: array(p / "a.h5", FILM, "films"), "no 'imgs' in"),
    "npz without the key": (
        lambda p: (
            np.savez(p / "a.npz", x=FILM, y=FILM) or (p / "a.npz")  # type: ignore[func-returns-value]
        ),
        "no frames in",
    ),
    "truncated npy": (lambda p: cut(array(p / "a.npy", FILM), 0.5), "damaged array"),
    "truncated npz": (lambda p: cut(array(p / "a.npz", FILM), 0.5), "damaged array"),
    "truncated HDF5": (lambda p: cut(array(p / "a.h5", FILM), 0.5), "damaged array"),
    "text as npz": (lambda p: text(p / "a.npz", b"x" * 99), "damaged array"),
}
