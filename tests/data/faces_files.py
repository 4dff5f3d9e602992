"""Small folders of faces, laid out as the real ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from data.worlds import simulate

SETS = {"train": 14, "val": 4, "unused": 2, "mafl_train": 12, "mafl_test": 6}
"""Images of each; MAFL's are training images of CelebA's, as most are in truth."""


def celeba(folder: Path) -> Path:
    """CelebA with MAFL's lists: 178x218 JPEGs of cartoon faces and their landmarks."""
    images = folder / "img_align_celeba"
    images.mkdir(parents=True)
    (folder / "MAFL").mkdir()
    heads = [" lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y"]
    marks, partition = [f"{sum(SETS.values())}", heads[0] + " rightmouth_x rightmouth_y"], []
    lists: dict[str, list[str]] = {"mafl_train": [], "mafl_test": []}
    number = 0
    for name, count in SETS.items():
        for _ in range(count):
            number += 1
            file = f"{number:06d}.jpg"
            frame, points = face(number)
            Image.fromarray(frame).save(images / file)
            marks.append(" ".join([file, *(f"{round(x)}" for x in points.flatten())]))
            part = {"val": 1, "unused": 2}.get(name, 0)
            partition.append(f"{file} {part}")
            if name in lists:
                lists[name].append(file)
    (folder / "list_landmarks_align_celeba.txt").write_text("\n".join(marks) + "\n")
    (folder / "list_eval_partition.txt").write_text("\n".join(partition) + "\n")
    (folder / "MAFL" / "training.txt").write_text("\n".join(lists["mafl_train"]) + "\n")
    (folder / "MAFL" / "testing.txt").write_text("\n".join(lists["mafl_test"]) + "\n")
    return folder


def face(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture [218, 178, 3] and its five landmarks [5, 2]."""
    video = simulate("faces", 1, 64, seed)
    assert video.truth is not None
    points = (video.truth.position[0, :5] + 0.5) * np.array([178 / 64, 218 / 64]) - 0.5
    return cv2.resize(video.frames[0], (178, 218)), points


def annotated(folder: Path, people: int = 5, each: int = 3) -> Path:
    """Faces with landmarks.csv beside them; the last person is for testing."""
    lines = ["file,clip,set," + ",".join(f"{axis}{i}" for i in range(5) for axis in "xy")]
    for person in range(people):
        (folder / f"s{person}").mkdir(parents=True)
        for number in range(each):
            frame, points = face(person * each + number)
            name = f"s{person}/{number}.png"
            Image.fromarray(frame).save(folder / name)
            split = "test" if person == people - 1 else "train"
            lines.append(
                ",".join([name, f"s{person}", split, *(f"{x:.2f}" for x in points.flatten())])
            )
    (folder / "landmarks.csv").write_text("\n".join(lines) + "\n")
    return folder
