import errno
import json
import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from data.cache import default_root
from data.errors import UserError
from data.frames import FrameConfig
from data.source import open_source
from data.storage import ArrayWriter
from tests.data.files import cut, moving_square, write_video

ALL = FrameConfig()


class Watcher:
    """Counts what was decoded, by listening to the progress."""

    def __init__(self):
        self.lines = []

    def __call__(self, text, share):
        assert 0 <= share <= 1
        self.lines.append((text, share))

    @property
    def decoded(self):
        return {text for text, _ in self.lines if text.startswith("decoding")}


@pytest.fixture
def films(tmp_path):
    for index in range(4):
        write_video(tmp_path / f"films/f{index}.mp4", moving_square(6 + index, 64, 96))
    return tmp_path / "films"


def only_folder(root):
    (folder,) = [path for path in root.iterdir() if path.is_dir()]
    return folder


def test_decoded_once(films, tmp_path):
    first, again = Watcher(), Watcher()
    a = open_source(str(films), ALL, tmp_path / "cache", first)
    b = open_source(str(films), ALL, tmp_path / "cache", again)
    assert len(first.decoded) == 4
    assert first.lines[-1][1] == 1.0
    assert not again.lines
    assert a.fingerprint == b.fingerprint
    for x, y in zip(a.whole, b.whole, strict=True):
        np.testing.assert_array_equal(x.frames, y.frames)
    rows = b.whole[0].frames.base
    assert rows is not None
    assert isinstance(rows.base, np.memmap)
    assert not b.whole[0].frames.flags.writeable


def test_settings_of_frames_make_another_cache_and_splits_do_not(films, tmp_path):
    def watched(**settings):
        watcher = Watcher()
        data = open_source(str(films), FrameConfig(**settings), tmp_path / "cache", watcher)
        return data.fingerprint, bool(watcher.decoded)

    base, _ = watched()
    assert watched(val_share=0.3, strict=True) == (base, False)
    for settings in ({"size": 32}, {"square": True}, {"crop": (0, 0, 64, 64)}, {"skip": 2}):
        other, decoded = watched(**settings)
        assert decoded
        assert other != base


def test_changed_content_is_decoded_again(films, tmp_path):
    before = open_source(str(films), ALL, tmp_path / "cache")
    stat = (films / "f0.mp4").stat()
    write_video(films / "f0.mp4", moving_square(6, 64, 96)[:, ::-1])
    os.utime(films / "f0.mp4", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = open_source(str(films), ALL, tmp_path / "cache")
    assert after.fingerprint != before.fingerprint
    assert not np.array_equal(after.whole[0].frames, before.whole[0].frames)


def test_a_moved_folder_keeps_its_cache(films, tmp_path):
    open_source(str(films), ALL, tmp_path / "cache")
    films.rename(tmp_path / "elsewhere")
    watcher = Watcher()
    open_source(str(tmp_path / "elsewhere"), ALL, tmp_path / "cache", watcher)
    assert not watcher.decoded


def test_a_copy_is_the_same_data_whatever_its_dates(films, tmp_path):
    known = open_source(str(films), ALL, tmp_path / "cache")
    copy = shutil.copytree(films, tmp_path / "copy")
    for path in copy.iterdir():
        os.utime(path, (1, 1))
    assert open_source(str(copy), ALL, tmp_path / "cache").fingerprint == known.fingerprint
    (copy / "f1.mp4").rename(copy / "g1.mp4")  # names decide what is held out
    assert open_source(str(copy), ALL, tmp_path / "cache").fingerprint != known.fingerprint


def test_a_single_video_is_the_same_under_another_name(films, tmp_path):
    known = open_source(str(films / "f0.mp4"), ALL, tmp_path / "cache")
    renamed = shutil.copy(films / "f0.mp4", tmp_path / "renamed.mp4")
    assert open_source(str(renamed), ALL, tmp_path / "cache").fingerprint == known.fingerprint
    other = open_source(str(films / "f1.mp4"), ALL, tmp_path / "cache")
    assert other.fingerprint != known.fingerprint


def truncate(folder):
    cut(folder / "frames.npy", 0.5)


def lengthen(folder):
    index = json.loads((folder / "index.json").read_text())
    index["videos"][0]["length"] += 1
    (folder / "index.json").write_text(json.dumps(index))


def point_elsewhere(folder):
    index = json.loads((folder / "index.json").read_text())
    index["videos"][0]["frames"] = "../../secret.npy"
    (folder / "index.json").write_text(json.dumps(index))


def shorten_header(folder):
    header = (folder / "frames.npy").read_bytes()
    (folder / "frames.npy").write_bytes(header.replace(b"(30, ", b"(29, "))


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        lengthen,
        point_elsewhere,
        shorten_header,
        lambda folder: (folder / "frames.npy").unlink(),
        lambda folder: (folder / "index.json").unlink(),
        lambda folder: cut(folder / "index.json", 0.5),
        lambda folder: (folder / "index.json").write_text("[]"),
        lambda folder: (folder / "index.json").write_bytes(b"\xff\xfe"),
    ],
)
def test_a_broken_cache_is_built_again(films, tmp_path, damage):
    root = tmp_path / "cache"
    good = [video.frames.copy() for video in open_source(str(films), ALL, root).whole]
    damage(only_folder(root))
    watcher = Watcher()
    repaired = open_source(str(films), ALL, root, watcher)
    assert len(watcher.decoded) == 4
    for video, frames in zip(repaired.whole, good, strict=True):
        np.testing.assert_array_equal(video.frames, frames)


def test_leftovers_of_a_killed_process_are_swept_up(films, tmp_path):
    root = tmp_path / "cache"
    open_source(str(films), ALL, root)
    folder = only_folder(root)
    folder.rename(root / f"{folder.name}.killed.part")
    open_source(str(films), ALL, root)
    assert only_folder(root) == folder


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_nothing_behind(films, tmp_path, monkeypatch, code):
    root = tmp_path / "cache"
    sources = {path: path.read_bytes() for path in films.iterdir()}
    append = ArrayWriter.append

    def full(self, rows):
        if self.rows == 10:
            raise OSError(code, os.strerror(code))
        append(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(ArrayWriter, "append", full)
        with pytest.raises(UserError, match=r"disk full .*cache: .*PARTICLECAST_CACHE") as caught:
            open_source(str(films), ALL, root)
    assert "\n" not in str(caught.value)
    assert not [path for path in root.iterdir() if path.is_dir()]
    assert {path: path.read_bytes() for path in films.iterdir()} == sources
    assert len(open_source(str(films), ALL, root).whole) == 4


def _limited(source, root, answer):
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    try:
        open_source(source, ALL, Path(root))
    except UserError as error:
        answer.put(str(error))


def test_the_system_refuses_to_write_more(films, tmp_path):
    spawn = multiprocessing.get_context("spawn")
    answer = spawn.Queue()
    process = spawn.Process(target=_limited, args=(str(films), str(tmp_path / "cache"), answer))
    process.start()
    assert "disk full" in answer.get(timeout=60)
    process.join()
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_interrupted_by_the_user(films, tmp_path):
    def press(text, share):
        if share > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_source(str(films), ALL, tmp_path / "cache", press)
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_a_folder_that_cannot_be_written(films, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write the cache: .*PARTICLECAST_CACHE"):
        open_source(str(films), ALL, tmp_path / "file" / "cache")


def _open(source, root, barrier, answers):
    watcher = Watcher()
    barrier.wait()
    data = open_source(source, ALL, Path(root), watcher)
    total = sum(int(video.frames.astype(np.int64).sum()) for video in data.whole)
    answers.put((len(watcher.decoded), total))


def test_two_processes_build_one_cache(films, tmp_path):
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(2), spawn.Queue()
    arguments = (str(films), str(tmp_path / "cache"), barrier, answers)
    processes = [spawn.Process(target=_open, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sorted(decoded for decoded, _ in found) == [0, 4]
    assert found[0][1] == found[1][1]
    assert only_folder(tmp_path / "cache").name


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PARTICLECAST_CACHE", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.delenv("PARTICLECAST_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root() == tmp_path / ".cache" / "particlecast"
