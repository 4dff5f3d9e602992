import io
import os
import tracemalloc
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import UserError
from pipelines.write_arrays import NpzWriter

RNG = np.random.default_rng(0)
WHOLE: dict[str, np.ndarray] = {
    "frames": RNG.integers(0, 256, (11, 6, 5, 3), np.uint8),
    "position": RNG.normal(size=(11, 4, 2)).astype(np.float32),
    "identity": RNG.integers(-1, 9, (11, 4)),
    "alive": RNG.random((11, 4)) > 0.5,
    "time": np.arange(11.0),
}


def rows(start: int, stop: int) -> dict[str, np.ndarray]:
    return {name: values[start:stop] for name, values in WHOLE.items()}


def write(path: Path, parts: Iterable[dict[str, Any]]) -> None:
    with NpzWriter(path) as out:
        for part in parts:
            out.append(**part)


PARTS = [rows(0, 4), rows(4, 5), rows(5, 5), rows(5, 11)]


def test_the_file_is_that_of_savez_compressed(tmp_path):
    write(tmp_path / "a.npz", PARTS)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **WHOLE)  # type: ignore[arg-type]
    buffer.seek(0)
    with np.load(tmp_path / "a.npz") as found, np.load(buffer) as expected:
        assert found.files == expected.files
        for name in expected.files:
            assert found[name].dtype == expected[name].dtype
            np.testing.assert_array_equal(found[name], expected[name])
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_DEFLATED}
    assert os.listdir(tmp_path) == ["a.npz"]


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")

    def interrupted() -> Iterator[dict[str, np.ndarray]]:
        yield rows(0, 4)
        assert path.read_bytes() == b"old"
        aside = sorted(os.listdir(tmp_path))
        assert len(aside) == 2
        assert aside[0].startswith(".a.npz.")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, interrupted())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.npz"]
    write(path, PARTS)
    assert np.load(path)["time"].tolist() == list(range(11))


def test_memory_does_not_grow_with_the_steps(tmp_path):
    part = np.zeros((32, 64, 64, 3), np.uint8)  # 0.4 MB
    tracemalloc.start()
    try:
        with NpzWriter(tmp_path / "a.npz") as out:
            for _ in range(40):
                out.append(frames=part)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(np.load(tmp_path / "a.npz")["frames"]) == 40 * 32
    assert peak < 8 * part.nbytes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"position": WHOLE["position"][:2, :3]},
            r"position has rows of float32 \(3, 2\): expected",
        ),
        ({"position": WHOLE["position"][:2].astype(float)}, r"position has rows of float64"),
        ({"more": np.zeros(2)}, r"more: expected the names frames, position"),
        ({"time": np.zeros(3)}, r"lengths differ: .*'time': 3"),
        ({"time": np.float64(3.0)}, r"time is float64 \(\): expected numbers"),
        ({"time": np.array(["a", "b"])}, r"time is <U1 \(2,\): expected numbers"),
    ],
)
def test_what_does_not_fit_is_named_and_leaves_nothing(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "a.npz", [rows(0, 4), {**rows(4, 6), **changes}])
    assert os.listdir(tmp_path) == []


def test_a_missing_array_is_named(tmp_path):
    fewer = {name: values for name, values in rows(4, 5).items() if name != "time"}
    with pytest.raises(ValueError, match="time: expected"):
        write(tmp_path / "a.npz", [rows(0, 4), fewer])


@pytest.mark.parametrize("parts", [[], [rows(0, 0)]])
def test_no_row_at_all_is_the_user_s_mistake(tmp_path, parts):
    with pytest.raises(UserError, match=r"no frames: .*a\.npz"):
        write(tmp_path / "a.npz", parts)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_a_folder_that_cannot_be_written_is_told_before_the_work(tmp_path, folder):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(UserError, match=r"cannot write: .*a\.npz: .*choose another folder"),
        NpzWriter(tmp_path / folder / "a.npz"),
    ):
        pytest.fail("was entered")


@pytest.mark.parametrize(
    "where", ["data.storage.ArrayWriter.append", "zipfile._ZipWriteFile.write"]
)
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, where):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(where, full)
    with pytest.raises(UserError, match=r"a\.npz: No space left on device: free some") as caught:
        write(tmp_path / "a.npz", PARTS)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path):
    (tmp_path / "a.npz").mkdir()
    with pytest.raises(UserError, match=r"cannot write: .*a\.npz"):
        write(tmp_path / "a.npz", PARTS)
    assert os.listdir(tmp_path) == ["a.npz"]
