"""Folders of annotated faces: `landmarks.csv` beside the images, as `data.orl_make` writes them.

    landmarks.csv      file,clip,set,x0,y0,x1,y1,...   pixels; set is train or test
    s1/1.png ...       images of one size

Images of one clip (one person) follow each other in the file. Anyone's own faces can be laid out
so.
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import numpy as np

from data.celeba import read_faces, truth_of
from data.decode import Clip
from data.errors import UserError
from data.layouts import Layout, content_key, safe_name

LANDMARKS = "landmarks.csv"
HEAD = ("file", "clip", "set")
SETS = ("train", "val", "test")
RADIUS = 0.08
"""Of a landmark, of the distance between the first two points on average."""


def is_annotated(folder: Path) -> bool:
    """Whether a folder holds landmarks."""
    return (folder / LANDMARKS).is_file()


def annotated_layout(folder: Path) -> Layout:
    """Understand a folder of annotated faces: a clip for each person.

    Raises:
        UserError: the file of landmarks is damaged, an image is missing, or a clip is in two sets.
    """
    path = folder / LANDMARKS
    rows = _read(path)
    people: dict[tuple[str, str], list[tuple[Path, np.ndarray]]] = {}
    sets: dict[str, str] = {}
    for name, clip, split, points in rows:
        image = folder / name
        if ".." in Path(name).parts or Path(name).is_absolute() or not image.is_file():
            raise UserError(f"image missing: {image}: {path} names it: make the folder again")
        if (one := sets.setdefault(safe_name(clip), split)) != split:
            raise UserError(
                f"clip in two sets: {path}: {clip} is in {one} and, by {name}, in {split}: give "
                "all its images one set, or those of each set a clip of their own"
            )
        people.setdefault((safe_name(clip), split), []).append((image, points))
    clips = []
    for (clip, split), faces in sorted(people.items()):
        points = np.stack([marks for _, marks in faces])
        radius = RADIUS * float(np.linalg.norm(points[:, 0] - points[:, 1], axis=-1).mean())
        files = [file for file, _ in faces]
        read = partial(read_faces, files, truth_of(points, radius))
        clips.append(Clip(clip, str(folder / clip), read, split))
    files = [path, *(folder / name for name, _, _, _ in rows)]
    return Layout(lambda: clips, len(clips), content_key(folder, files))


def _read(path: Path) -> list[tuple[str, str, str, np.ndarray]]:
    """File, clip, set and [n, 2] points of each line."""
    found, counts = [], set()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot be read: {path}: {error}: make it again") from error
    if not lines or tuple(lines[0][:3]) != HEAD:
        raise UserError(f"damaged landmarks: {path}: its first line must begin {','.join(HEAD)}")
    for number, line in enumerate(lines[1:], 2):
        try:
            name, clip, split = line[:3]
            points = np.array(line[3:], float).reshape(-1, 2)
        except ValueError as error:
            raise UserError(f"damaged landmarks: {path}: line {number}: {error}") from error
        if split not in SETS or len(points) < 2 or not np.isfinite(points).all():
            raise UserError(
                f"damaged landmarks: {path}: line {number}: needs a set ({', '.join(SETS)}) and "
                "at least two points"
            )
        counts.add(len(points))
        found.append((name, clip, split, points))
    if len(counts) != 1:
        raise UserError(f"damaged landmarks: {path}: every line needs as many points as the first")
    return found
