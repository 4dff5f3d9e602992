"""Files that are dropped on the page."""

from __future__ import annotations

import io
import tempfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from data.write import write_mp4
from pipelines.explore_about import Limits
from pipelines.explore_scenes import UPLOADS
from pipelines.explore_upload import AT_ONCE
from tests.pipelines.commands import SIDE, Trained, clips
from tests.pipelines.exploring import Page, edited, line, open_page, picture

LIMITS = Limits(upload_bytes=3 << 20, pixels=200 * 200, frames=16)


@pytest.fixture(scope="module")
def page(tiny: Trained) -> Page:
    return open_page(tiny, LIMITS)


def drop(page: Page, content: bytes, name: str) -> Any:
    """A file on the page, and the answer."""
    headers = {"X-Name": quote(name)}
    kind = "application/octet-stream"
    return page.ask("POST", "/api/upload", data=content, content_type=kind, headers=headers)


def dropped(page: Page, content: bytes, name: str) -> dict[str, Any]:
    """The clip that it becomes."""
    answer = drop(page, content, name)
    assert answer.status_code == 200, answer.text
    return answer.json


def image(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """A file of one picture."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An mp4 of 24 frames."""
    folder = tmp_path_factory.mktemp("film")
    write_mp4(folder / "film.mp4", clips(folder / "clips.npy")[0], fps=12)
    return (folder / "film.mp4").read_bytes()


def test_a_picture_becomes_a_clip_of_one_frame(page: Page) -> None:
    shown = page.explorer.scenes.frame("data:0", 5)
    clip = dropped(page, image(shown), "a picture.png")
    assert (clip["frames"], clip["name"], clip["note"]) == (1, "a picture.png", "")
    got = picture(page.ask("GET", f"/api/frame?clip={clip['clip']}&frame=0").data)
    assert (got == shown).all()
    assert page.scene(clip["clip"], 0) == page.scene(clip["clip"], 0)
    page.refused(404, "GET", f"/api/scene?clip={clip['clip']}&frame=1")


def test_a_video_becomes_a_clip_that_can_be_rolled_out_and_its_end_is_cut(
    page: Page, film: bytes
) -> None:
    clip = dropped(page, film, "film.mp4")
    assert clip["frames"] == LIMITS.frames
    assert clip["note"] == f"of film.mp4 is used: its first {LIMITS.frames} frames"
    answer = page.roll_out(edited(), clip=clip["clip"], frame=11, horizon=3)
    assert answer["state"] == "done"
    assert answer["result"]["fps"] == 12


def test_a_gif_is_a_video(page: Page) -> None:
    frames = [Image.fromarray(page.explorer.scenes.frame("data:0", t)) for t in range(4)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=100)
    assert dropped(page, buffer.getvalue(), "film.gif")["frames"] == 4


def test_a_picture_of_another_shape_is_cut_in_its_middle(page: Page) -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = (200, 100, 50)
    clip = dropped(page, image(wide), "wide.png")
    assert clip["note"] == "of wide.png is used: its middle, in the model's shape"
    got = picture(page.ask("GET", f"/api/frame?clip={clip['clip']}&frame=0").data)
    assert got.shape == (SIDE, SIDE, 3)
    assert (got == (200, 100, 50)).all()


@pytest.mark.parametrize(
    ("content", "name", "status", "word"),
    [
        (b"", "a.mp4", 400, "a.mp4"),
        (b"", "a.png", 400, "a.png"),
        (b"\x00" * 5000, "a.mp4", 400, "not a readable video: a.mp4"),
        (b"\x00\x00\x00\x18ftypmp42" + b"x" * 500, "a.mp4", 400, "a.mp4"),
        (b"RIFF" + b"\xff" * 500, "a.avi", 400, "a.avi"),
        (b"GIF89a" + b"\xff" * 500, "a.gif", 400, "a.gif"),
        (b"\x1a\x45\xdf\xa3" + b"\xff" * 500, "a.webm", 400, "a.webm"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 50, "a.png", 400, "not a readable picture: a.png"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "a.mp4", 400, "not a readable video"),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "a.avi", 400, "not a readable video"),
        (b"hello", "a.txt", 415, "unknown kind of file: a.txt"),
        (b"hello", "", 415, "unknown kind of file: file"),
        (b"hello", "../../etc/passwd", 415, "unknown kind of file: passwd"),
        (b"hello", "C:\\x\\a.png", 400, "picture: a.png"),
        (b"hello", "a\n\x00b.png", 400, "picture: ab.png"),
        (b"hello", "é" * 3000 + ".png", 400, "picture: é"),
    ],
)
def test_a_bad_file_is_named_in_one_line(
    page: Page, content: bytes, name: str, status: int, word: str
) -> None:
    said = line(drop(page, content, name), status)
    assert word in said
    assert tempfile.gettempdir() not in said


def test_a_picture_cut_short_is_refused(page: Page) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    assert "damaged image: a.png" in line(drop(page, image(noise)[:-900], "a.png"), 400)


def test_large_files_and_large_frames_are_refused(page: Page) -> None:
    large = b"\x00" * (LIMITS.upload_bytes + 1)
    assert "at most 3 MB" in line(drop(page, large, "a.mp4"), 413)
    pixels = np.zeros((201, 200, 3), np.uint8)
    assert "200x201 pixels" in line(drop(page, image(pixels), "a.png"), 413)


def test_large_frames_of_a_video_are_refused(page: Page, tmp_path: Path) -> None:
    write_mp4(tmp_path / "large.mp4", [np.zeros((202, 202, 3), np.uint8)], fps=10)
    said = line(drop(page, (tmp_path / "large.mp4").read_bytes(), "large.mp4"), 413)
    assert "202x202 pixels" in said


def test_a_body_without_a_length_is_counted_as_it_comes(page: Page) -> None:
    large = io.BytesIO(b"\x00" * (LIMITS.upload_bytes + 1))
    answer = page.ask(
        "POST",
        "/api/upload",
        input_stream=large,
        content_type="application/octet-stream",
        headers={"X-Name": "a.mp4", "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )
    assert line(answer, 413) == "too large: at most 3 MB: send less"
    assert "at most 1 MB" in line(page.send("/api/decode", {"particles": "x" * (1 << 20)}), 413)


class Slow(io.BytesIO):
    """A body that begins to arrive, and goes on when it may."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.begun, self.gate = threading.Event(), threading.Event()

    def readinto(self, buffer: Any) -> int:
        self.begun.set()
        assert self.gate.wait(20)
        return super().readinto(buffer)


class Arriving:
    """A file whose body has begun to arrive, in a thread of its own."""

    def __init__(self, page: Page, content: bytes) -> None:
        self.page, self.content, self.body = page, content, Slow(content)
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()
        assert self.body.begun.wait(20)

    def ask(self) -> None:
        self.answer = self.page.ask(
            "POST",
            "/api/upload",
            input_stream=self.body,
            content_length=len(self.content),
            content_type="application/octet-stream",
            headers={"X-Name": "slow.png"},
        )

    def end(self) -> Any:
        """The answer, once the rest has come."""
        self.body.gate.set()
        self.thread.join()
        return self.answer.get_json()


def test_a_slow_upload_holds_up_nobody_else(page: Page) -> None:
    name = page.roll_out(horizon=1)["id"]
    shown = image(page.explorer.scenes.frame("data:0", 5))
    slow = Arriving(page, shown)
    saved = page.ask("GET", f"/api/rollouts/{name}/file?format=npz")
    assert saved.status_code == 200
    assert dropped(page, shown, "quick.png")["frames"] == 1
    assert slow.thread.is_alive()
    assert slow.end()["frames"] == 1


def test_so_many_uploads_arrive_at_once_and_one_more_is_told_to_try_again(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shown = image(page.explorer.scenes.frame("data:0", 5))
    slow = [Arriving(page, shown) for _ in range(AT_ONCE)]
    assert "try again" in line(drop(page, shown, "more.png"), 503)
    assert len(list(tmp_path.iterdir())) == AT_ONCE  # nothing of the one that was refused
    assert page.scene("data:0", 5)  # what else is asked is answered
    assert slow[0].end()["frames"] == 1
    assert dropped(page, shown, "more.png")["frames"] == 1
    assert [one.end()["frames"] for one in slow[1:]] == [1] * (AT_ONCE - 1)
    for _ in range(AT_ONCE + 1):  # what is refused leaves its place too
        line(drop(page, b"\x00", "a.mp4"), 400)
    assert dropped(page, shown, "more.png")["frames"] == 1


@pytest.mark.parametrize("kind", ["EPS", "GIF", "TIFF", "WEBP", "PPM"])
def test_a_picture_is_taken_for_nothing_but_what_is_accepted(page: Page, kind: str) -> None:
    content = image(page.explorer.scenes.frame("data:0", 5), kind)
    assert line(drop(page, content, "a.png"), 400).startswith("not a readable picture: a.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "MPO", "BMP"])
def test_a_picture_may_be_called_by_anothers_end(page: Page, kind: str) -> None:
    content = image(page.explorer.scenes.frame("data:0", 5), kind)
    assert dropped(page, content, "a.png")["frames"] == 1


def test_nothing_of_a_file_is_left_on_the_disk(
    page: Page, film: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dropped(page, film, "film.mp4")
    line(drop(page, b"\x00", "a.mp4"), 400)
    assert list(tmp_path.iterdir()) == []


def test_so_many_clips_are_kept_and_a_forgotten_one_says_so(page: Page) -> None:
    shown = image(page.explorer.scenes.frame("data:0", 5))
    names = [dropped(page, shown, "a.png")["clip"] for _ in range(UPLOADS + 1)]
    assert len(set(names)) == UPLOADS + 1
    said = page.refused(404, "GET", f"/api/scene?clip={names[0]}&frame=0")
    assert "drop the file again" in said
    assert page.scene(names[1], 0) == page.scene(names[-1], 0)
