import h5py
import numpy as np
import pytest
from PIL import Image

from data.frames import FrameConfig
from data.source import open_source
from data.tracks import tracks_path, write_tracks
from data.videos import Truth
from data.worlds import DEFAULTS, generate_dataset
from tests.data.files import moving_square, write_video

ALL = FrameConfig()
FILM = moving_square(6, 32, 48)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def write_frames(folder, film, suffix=".png"):
    folder.mkdir(parents=True)
    for index, frame in enumerate(film):
        Image.fromarray(frame).save(folder / f"frame_{index}{suffix}")
    return folder


def names(videos):
    return [video.name for video in videos]


def sets(dataset):
    return names(dataset.train), names(dataset.val), names(dataset.test)


@pytest.mark.parametrize("kind", ["mp4", "frames", "npy", "npz", "h5"])
def test_one_long_video_is_split_by_time(tmp_path, cache, kind):
    film = moving_square(40, 32, 48)
    path = tmp_path / f"street.{kind}"
    if kind == "mp4":
        write_video(path, film)
    elif kind == "frames":
        path = write_frames(tmp_path / "street", film)
    elif kind == "npy":
        np.save(path, film)
    elif kind == "npz":
        np.savez(path, frames=film)
    else:
        with h5py.File(path, "w") as file:
            file["imgs"] = film
    dataset = open_source(str(path), FrameConfig(val_share=0.1, test_share=0.2), cache)
    assert dataset.by_time
    assert dataset.size == (32, 48)
    assert [len(part[0]) for part in (dataset.train, dataset.val, dataset.test)] == [28, 4, 8]
    assert sets(dataset) == (["street"],) * 3
    (whole,) = dataset.whole
    together = np.concatenate([v.frames for v in dataset.train + dataset.val + dataset.test])
    np.testing.assert_array_equal(together, whole.frames)
    if kind != "mp4":
        np.testing.assert_array_equal(whole.frames, film)


def test_a_folder_of_videos_of_every_kind(tmp_path, cache):
    folder = tmp_path / "films"
    for name in ("a.mp4", "b.avi", "c.MOV", "d.mkv", "e.webm", "f.gif"):
        write_video(folder / name, FILM)
    (folder / "notes.txt").write_text("not a film, and not named as one")
    (folder / "._a.mp4").write_text("what a Mac leaves behind")
    dataset = open_source(str(folder), ALL, cache)
    assert names(dataset.whole) == ["a", "b", "c", "d", "e", "f"]
    assert not dataset.by_time
    assert not dataset.left_out
    assert [len(part) for part in sets(dataset)] == [4, 1, 1]
    assert sorted(name for part in sets(dataset) for name in part) == names(dataset.whole)
    assert sets(open_source(str(folder), ALL, tmp_path / "another")) == sets(dataset)


@pytest.mark.parametrize("validation", ["val", "valid", "validation"])
def test_train_val_test_subfolders(tmp_path, cache, validation):
    for part, count in (("train", 2), (validation, 1), ("test", 1)):
        for index in range(count):
            write_video(tmp_path / "set" / part / f"{part}{index}.mp4", FILM)
    dataset = open_source(str(tmp_path / "set"), ALL, cache)
    assert sets(dataset) == (["train0", "train1"], [f"{validation}0"], ["test0"])


def test_a_test_folder_beside_videos_is_no_set(tmp_path, cache):
    for path in ("a.mp4", "b.mp4", "c.mp4", "test/d.mp4"):
        write_video(tmp_path / "set" / path, FILM)
    assert names(open_source(str(tmp_path / "set"), ALL, cache).whole) == ["a", "b", "c"]


def test_subfolders_of_frames_with_splits(tmp_path, cache):
    for part, name in (("train", "x"), ("train", "y"), ("val", "z"), ("test", "w")):
        write_frames(tmp_path / "set" / part / name, FILM, ".bmp")
    dataset = open_source(str(tmp_path / "set"), ALL, cache)
    assert sets(dataset) == (["x", "y"], ["z"], ["w"])
    np.testing.assert_array_equal(dataset.test[0].frames, FILM)


def test_a_folder_of_folders_of_frames(tmp_path, cache):
    films = {f"clip{i}": np.roll(moving_square(12, 32, 48), i, 1) for i in range(3)}
    for name, film in films.items():
        write_frames(tmp_path / "set" / name, film)
    dataset = open_source(str(tmp_path / "set"), FrameConfig(start=1, skip=2, limit=4), cache)
    for video in dataset.whole:  # frame_10 and frame_11 come after frame_9
        np.testing.assert_array_equal(video.frames, films[video.name][1:9:2])
        assert video.fps == 5.0


def test_equal_names_are_told_apart(tmp_path, cache):
    for path in ("train/a.mp4", "val/a.mp4", "test/a.mp4", "test/a.avi"):
        write_video(tmp_path / "set" / path, FILM)
    dataset = open_source(str(tmp_path / "set"), ALL, cache)
    assert sets(dataset) == (["train_a_mp4"], ["val_a_mp4"], ["test_a_avi", "test_a_mp4"])


def test_names_are_safe_as_file_names(tmp_path, cache):
    write_video(tmp_path / "my film (1), ü.mp4", FILM)
    assert open_source(str(tmp_path), ALL, cache).whole[0].name == "my_film_1_ü"


def test_array_of_videos(tmp_path, cache):
    array = np.stack([np.roll(FILM, i, 1) for i in range(5)])
    np.save(tmp_path / "balls.npy", array)
    dataset = open_source(str(tmp_path / "balls.npy"), ALL, cache)
    assert names(dataset.whole) == [f"balls_{i:05d}" for i in range(5)]
    for video, film in zip(dataset.whole, array, strict=True):
        np.testing.assert_array_equal(video.frames, film)
    assert [len(part) for part in sets(dataset)] == [3, 1, 1]


def test_clevrer_as_published(tmp_path, cache):
    """The official folders, 480x320 H.264, 128 frames; the preset's frames and split."""
    film = moving_square(128)
    model = write_video(tmp_path / "model.mp4", film)
    for part, folder, number in (
        ("train", "video_00000-01000", 0),
        ("train", "video_00000-01000", 1),
        ("train", "video_04000-05000", 4999),
        ("train", "video_05000-06000", 5000),
        ("validation", "video_10000-11000", 10000),
        ("validation", "video_10000-11000", 10999),
        ("validation", "video_11000-12000", 11000),
        ("validation", "video_11000-12000", 11999),
        ("validation", "video_12000-13000", 12000),
        ("test", "video_15000-16000", 15000),
    ):
        path = tmp_path / "clevrer" / f"video_{part}" / folder / f"video_{number:05d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.read_bytes())
    config = FrameConfig(size=128, start=26, skip=3)
    dataset = open_source(str(tmp_path / "clevrer"), config, cache)
    assert sets(dataset) == (
        ["video_00000", "video_00001", "video_04999"],
        ["video_10000", "video_10999"],
        ["video_11000", "video_11999"],
    )
    assert dataset.size == (88, 128)
    assert {len(video) for video in dataset.whole} == {34}
    # The square is 80 px wide and moves 4 px a frame: at frame 26 its left edge is at 104.
    red = dataset.train[0].frames[:, 32, :, 0] > 120
    assert abs(red[0].argmax() - 104 * 128 / 480) <= 1
    assert abs(red[1].argmax() - 116 * 128 / 480) <= 1


@pytest.mark.parametrize("kind", ["npy", "frames"])
def test_traffic_as_published(tmp_path, cache, kind):
    """One array or a folder of frames, 480x480, crop (60, 0, 480, 420), 128 px, 90/10 by time."""
    film = moving_square(20, 480, 480)
    path = tmp_path / "traffic.npy"
    if kind == "npy":
        np.save(path, film)
    else:
        path = write_frames(tmp_path / "traffic", film, ".jpg")
    config = FrameConfig(size=128, crop=(60, 0, 480, 420), val_share=0.0, test_share=0.1)
    dataset = open_source(str(path), config, cache)
    assert dataset.size == (128, 128)
    assert [len(v[0]) for v in (dataset.train, dataset.val, dataset.test)] == [18, 2, 2]
    np.testing.assert_array_equal(dataset.val[0].frames, dataset.test[0].frames)
    # The square spans x 0..119 and y 120..239; 60 is the crop's left edge.
    red = dataset.whole[0].frames[0, ..., 0] > 120
    assert abs(red.any(0).sum() - 60 * 128 / 420) <= 1
    assert abs(red.any(1).argmax() - 120 * 128 / 420) <= 1


@pytest.mark.parametrize("kind", ["crop", "skip"])
def test_tracks_beside_a_video_follow_its_frames(tmp_path, cache, kind):
    film = moving_square(30, 64, 96)
    left = np.arange(30) * 4 % 80
    position = np.stack([left + 7.5, np.full(30, 23.5)], -1)[:, None].astype(np.float32)
    mask = (film[..., 0] > 100).astype(np.uint8)
    truth = Truth(position, np.ones((30, 1), bool), np.full((30, 1), 9.0, np.float32), mask)
    for name in ("a", "b", "c"):
        path = write_video(tmp_path / "set" / f"{name}.mp4", film)
        write_tracks(tracks_path(path), truth)
    config = {
        "crop": FrameConfig(size=128, crop=(0, 8, 80, 48)),
        "skip": FrameConfig(size=48, start=3, skip=4, limit=5),
    }[kind]
    for video in open_source(str(tmp_path / "set"), config, cache).whole:
        found = video.truth
        assert found is not None
        masks = np.asarray(found.mask)
        assert len(found.position) == len(video)
        for frame, place, label in zip(video.frames, found.position[:, 0], masks, strict=True):
            seen = frame[..., 0] > 120
            rows, columns = np.nonzero(seen)
            if columns.max() < frame.shape[1] - 1:  # else the crop cuts the square
                np.testing.assert_allclose(place, (columns.mean(), rows.mean()), atol=0.6)
            assert (label == seen).mean() > 0.97


def test_tracks_that_do_not_fit_leave_the_video_out(tmp_path, cache):
    long = Truth(np.zeros((9, 1, 2)), np.ones((9, 1), bool), np.ones((9, 1)))
    for name in ("a", "b", "c", "d"):
        write_video(tmp_path / f"{name}.mp4", FILM)
    write_tracks(tmp_path / "b.tracks.npz", long)
    (tmp_path / "c.tracks.npz").write_text("no archive")
    np.savez(tmp_path / "d.tracks.npz", position=np.zeros((6, 1, 2)))
    dataset = open_source(str(tmp_path), ALL, cache)
    assert names(dataset.whole) == ["a"]
    for line, words in zip(
        dataset.left_out, ("another video", "damaged", "incomplete"), strict=True
    ):
        assert words in line


def test_synthetic_equals_the_world_it_is_made_from(cache):
    dataset = open_source("synthetic:billiards,videos=3,frames=4,size=40,seed=5", ALL, cache)
    for video, (split, made) in zip(
        dataset.whole, generate_dataset("billiards", 3, 4, 40, 5), strict=True
    ):
        assert video.name in names(getattr(dataset, split))
        np.testing.assert_array_equal(video.frames, made.frames)
        assert video.truth is not None
        assert made.truth is not None
        np.testing.assert_allclose(video.truth.position, made.truth.position, atol=1e-4)
        np.testing.assert_array_equal(video.truth.mask, made.truth.mask)


def test_the_size_of_a_synthetic_world(cache):
    def size(text, config=ALL):
        return open_source(f"synthetic:billiards,videos=3,frames=2{text}", config, cache).size

    assert size("") == (DEFAULTS["billiards"]["size"],) * 2
    assert size("", FrameConfig(size=128)) == (128, 128)
    assert size(",size=48", FrameConfig(size=128)) == (48, 48)
