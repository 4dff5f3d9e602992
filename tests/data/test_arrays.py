import h5py
import numpy as np
import pytest

from data.arrays import open_array
from data.decode import BadFile
from data.errors import UserError
from data.frames import FrameConfig

RNG = np.random.default_rng(0)
SET = RNG.integers(0, 255, (3, 5, 16, 24, 3), np.uint8)


def save(path, array, key="frames"):
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, **{key: array}, speed=np.ones(3))
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("imgs", data=array, chunks=True, compression="gzip")
            file.create_dataset("speed", data=np.ones(3))
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".hdf5"])
def test_a_set_of_videos(tmp_path, suffix):
    array = open_array(save(tmp_path / f"set{suffix}", SET))
    assert (array.videos, array.frames, array.height, array.width) == (3, 5, 16, 24)
    config = FrameConfig(start=1, skip=2)
    for video in (0, 1, 2, 1):
        frames = np.stack(list(array.read(video, "set", config).frames))
        np.testing.assert_array_equal(frames, SET[video, 1::2])


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
def test_one_long_video(tmp_path, suffix):
    array = open_array(save(tmp_path / f"film{suffix}", SET[0]))
    assert array.videos == 1
    np.testing.assert_array_equal(np.stack(list(array.read(0, "", FrameConfig()).frames)), SET[0])


def test_names_inside_an_npz(tmp_path):
    assert open_array(save(tmp_path / "a.npz", SET, key="imgs")).videos == 3
    np.savez(tmp_path / "b.npz", SET)
    assert open_array(tmp_path / "b.npz").videos == 3
    with pytest.raises(UserError, match=r"c\.npz: found arrays films, speed: .*'frames'"):
        open_array(save(tmp_path / "c.npz", SET, key="films"))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (SET.astype(np.float32) / 255, "float32, expected uint8"),
        (np.full((2, 8, 8, 3), np.nan), "float64, expected uint8"),
        (SET[0, 0], r"\[16, 24, 3\], expected \[N, T, H, W, 3\]"),
        (SET.transpose(0, 1, 4, 2, 3), r"\[3, 5, 3, 16, 24\], expected"),
        (SET[:, :0], "empty array"),
    ],
)
def test_wrong_arrays(tmp_path, suffix, array, message):
    path = tmp_path / f"wrong{suffix}"
    if suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["imgs"] = array
    else:
        save(path, array)
    with pytest.raises(UserError, match=message) as caught:
        open_array(path)
    assert str(path) in str(caught.value)


def test_hdf5_without_imgs(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["films"] = SET
    with pytest.raises(UserError, match=r"no 'imgs' in: .*a\.h5: found films"):
        open_array(tmp_path / "a.h5")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.7])
def test_files_cut_short(tmp_path, suffix, share):
    path = save(tmp_path / f"cut{suffix}", SET)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UserError, match=r"damaged array file: .*cut"):
        open_array(path)


def test_pickled_objects_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([print, "x"], object), allow_pickle=True)
    with pytest.raises(UserError, match=r"damaged|wrong type"):
        open_array(tmp_path / "a.npy")


def test_a_compressed_array_damaged_inside(tmp_path):
    path = save(tmp_path / "a.npz", SET)
    data = bytearray(path.read_bytes())
    data[-2000:-1600] = bytes(400)
    path.write_bytes(data)
    array = open_array(path)
    np.testing.assert_array_equal(next(array.read(0, "", FrameConfig()).frames), SET[0, 0])
    with pytest.raises(BadFile, match=r"damaged array: set\[2\]: frame \d"):
        list(array.read(2, "set[2]", FrameConfig()).frames)
