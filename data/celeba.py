"""CelebA with MAFL's lists: the folder as it is distributed, its sets as the literature cuts them.

    img_align_celeba/000001.jpg ...     178x218 pixels; or under Img/, or img_align_celeba_hq
    list_landmarks_align_celeba.txt     five points an image; or under Anno/
    list_eval_partition.txt             0 training, 1 validation, 2 test; or under Eval/
    MAFL/training.txt, MAFL/testing.txt 19,000 and 1,000 names

The sets (Jakab et al. 2018 and Thewlis et al. 2019, whose cut DLP took over): a model is trained on
CelebA's training images without any of MAFL's, and validated on CelebA's validation images without
them; landmarks are regressed from MAFL's training list and tested on MAFL's testing list. CelebA's
own test images are left unused. Each set is one clip, an image a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from data.decode import BadFile, Clip, Reading, read_frame_files
from data.errors import UserError
from data.frames import FrameConfig
from data.layouts import Layout, content_key
from data.videos import Truth

IMAGES = (
    *("img_align_celeba", "Img/img_align_celeba"),
    *("img_align_celeba_hq", "Img/img_align_celeba_hq"),
)
LANDMARKS = "list_landmarks_align_celeba.txt"
PARTITION = "list_eval_partition.txt"
POINTS = 5
"""Left eye, right eye, nose, left and right corner of the mouth; left is left in the picture."""
RADIUS = 8.0
"""Of a landmark, in pixels of the 178x218 images: about half an eye's width."""


def is_celeba(folder: Path) -> bool:
    """Whether a folder is CelebA's."""
    return any((folder / name).is_dir() for name in IMAGES)


def celeba_layout(folder: Path) -> Layout:
    """Understand CelebA's folder: up to four clips, `celeba_train`, `celeba_val`, `mafl_train`
    (split "fit") and `mafl_test`.

    Raises:
        UserError: a list or an image is missing, or a list is damaged.
    """
    images = next(folder / name for name in IMAGES if (folder / name).is_dir())
    marks = _find(folder, LANDMARKS, "Anno")
    partition = _find(folder, PARTITION, "Eval")
    lists = [_find(folder, name, "MAFL") for name in ("training.txt", "testing.txt")]
    points = _read_landmarks(marks)
    fit, test = (_read_names(path) for path in lists)
    mafl = {*fit, *test}
    shares = _read_partition(partition)
    sets = {
        ("celeba_train", "train"): [n for n, part in shares.items() if part == 0 and n not in mafl],
        ("celeba_val", "val"): [n for n, part in shares.items() if part == 1 and n not in mafl],
        ("mafl_train", "fit"): fit,
        ("mafl_test", "test"): test,
    }
    clips, files = [], [marks, partition, *lists]
    for (name, split), chosen in sets.items():
        paths = [images / image for image in chosen]
        for path in paths:
            if path.name not in points:
                raise UserError(
                    f"incomplete list: {marks}: no landmarks of {path.name}: copy it again"
                )
            if not path.is_file():
                raise UserError(f"image missing: {path}: the lists name it: copy the images again")
        files += paths
        if chosen:
            truth = truth_of(np.array([points[image] for image in chosen]), RADIUS)
            clips.append(Clip(name, str(images), partial(read_faces, paths, truth), split))
    return Layout(lambda: clips, len(clips), content_key(folder, files))


def truth_of(points: np.ndarray, radius: float) -> Truth:
    """Landmarks [t, n, 2] in pixels as the truth of t images."""
    shape = points.shape[:2]
    return Truth(
        points.astype(np.float32), np.ones(shape, bool), np.full(shape, radius, np.float32)
    )


def read_faces(files: Sequence[Path], truth: Truth, config: FrameConfig) -> Reading:
    """Images as the frames of one clip, with their landmarks.

    Raises:
        UserError: while drawing frames, at an image that is damaged: a set with another number of
            images would be another set.
    """
    reading = read_frame_files(files, config)
    return replace(reading, frames=_whole(reading.frames), truth=truth)


def _whole(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    try:
        yield from frames
    except BadFile as error:
        raise UserError(str(error)) from error


def _find(folder: Path, name: str, inner: str) -> Path:
    # MAFL's "training.txt" says too little to be looked for anywhere but in its own folder.
    places = [folder / inner / name, *([folder / name] if inner != "MAFL" else [])]
    for path in places:
        if path.is_file():
            return path
    raise UserError(
        f"incomplete CelebA: {folder}: no {inner}/{name}: copy it there; MAFL's two lists come "
        "with its annotations, the others with CelebA"
    )


def _lines(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read: {path}: {error}: copy it again") from error


def _read_names(path: Path) -> list[str]:
    names = [Path(words[0]).name for words in _lines(path)]
    if not names:
        raise UserError(f"empty list: {path}: copy it again")
    return names


def _read_partition(path: Path) -> dict[str, int]:
    try:
        return {name: int(part) for name, part in _lines(path)}
    except ValueError as error:
        raise UserError(
            f"damaged list: {path}: {error}: each line is a name and 0, 1 or 2"
        ) from error


def _read_landmarks(path: Path) -> dict[str, np.ndarray]:
    """Name to [5, 2] pixels, of the lines after the two of the head."""
    found = {}
    for words in _lines(path)[2:]:
        try:
            numbers = np.array(words[1:], float)
        except ValueError:
            numbers = np.zeros(0)
        if len(numbers) != 2 * POINTS:
            raise UserError(
                f"damaged list: {path}: {words[0]} has not {2 * POINTS} numbers: copy it again"
            )
        found[words[0]] = numbers.reshape(POINTS, 2)
    return found
