import struct

import numpy as np
import pytest
from PIL import Image

from data.decode import BadFile, frame_files, read_frame_files, read_video
from data.frames import FrameConfig
from tests.data.files import CODECS, cut, moving_square, write_video

ALL = FrameConfig()


def draw(path, config=ALL):
    return np.stack(list(read_video(path, config).frames))


@pytest.mark.parametrize("suffix", CODECS)
def test_every_container_gives_its_frames_in_rgb(tmp_path, suffix):
    film = moving_square(12, 64, 96)
    path = write_video(tmp_path / f"film{suffix}", film)
    frames = draw(path)
    assert frames.shape == film.shape
    assert frames.dtype == np.uint8
    assert np.abs(frames.astype(int) - film).mean() < 20
    red, blue = frames[0, 24, 8], frames[0, 60, 90]
    assert red[0] > 180 > 80 > red[2]
    assert blue[2] > 150 > 80 > blue[0]


def test_suffix_in_capitals_and_frame_rate(tmp_path):
    reading = read_video(write_video(tmp_path / "FILM.MP4", moving_square(5), fps=12), ALL)
    assert reading.fps == 12
    assert reading.expected == 5
    assert len(list(reading.frames)) == 5


def test_picked_frames_are_those_of_the_whole(tmp_path):
    path = write_video(tmp_path / "film.mp4", moving_square(40))
    picked = draw(path, FrameConfig(start=26, skip=3, limit=4))
    np.testing.assert_array_equal(picked, draw(path)[26:38:3])


@pytest.mark.parametrize(("turn", "turns"), [(90, 1), (180, 2), (-90, 3)])
def test_a_phones_film_stands_upright(tmp_path, turn, turns):
    film = moving_square(3, 64, 96)
    lying = draw(write_video(tmp_path / "lying.mp4", film))
    upright = draw(write_video(tmp_path / "phone.mp4", film, turn=turn))
    np.testing.assert_array_equal(upright, np.rot90(lying, turns, axes=(1, 2)))


@pytest.mark.parametrize("claimed", [0, 3, 100_000])
def test_a_frame_count_that_lies_does_not_matter(tmp_path, claimed):
    path = write_video(tmp_path / "film.avi", moving_square(20, 64, 96))
    data = bytearray(path.read_bytes())
    at = data.index(b"avih") + 8 + 16
    assert struct.unpack_from("<I", data, at) == (20,)
    struct.pack_into("<I", data, at, claimed)
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, claimed)
    path.write_bytes(data)
    assert len(draw(path)) == 20


def error_of(path):
    with pytest.raises(BadFile) as caught:
        draw(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_bad_files_say_what_is_wrong(tmp_path, capfd):
    text = tmp_path / "text.mp4"
    text.write_text("not a film\n" * 50)
    assert "not a readable video" in error_of(text)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert "empty file" in error_of(empty)
    film = write_video(tmp_path / "cut.mp4", moving_square(20))
    assert "cut short" in error_of(cut(film, 0.6))
    damaged = write_video(
        tmp_path / "damaged.mp4",
        np.random.default_rng(0).integers(0, 255, (20, 64, 96, 3), np.uint8),
        options={"movflags": "faststart"},
    )
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 9000] = bytes(9000)
    damaged.write_bytes(data)
    assert "damaged video" in error_of(damaged)
    assert capfd.readouterr() == ("", "")  # nothing of the decoder's own chatter


def test_no_permission(tmp_path, monkeypatch):
    path = write_video(tmp_path / "film.mp4", moving_square(3, 64, 96))

    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("data.decode.cut_short", refuse)
    assert "chmod" in error_of(path)


def test_numbered_frames_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 1, 100):
        Image.new("RGB", (16, 8), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    Image.new("RGB", (16, 8), (55, 0, 0)).save(tmp_path / ".frame3.png")
    (tmp_path / "notes2.txt").write_text("x")
    frames = np.stack(list(read_frame_files(frame_files(tmp_path), ALL).frames))
    assert frames[:, 0, 0, 0].tolist() == [1, 9, 10, 100]
    picked = read_frame_files(frame_files(tmp_path), FrameConfig(start=1, skip=2))
    assert [frame[0, 0, 0] for frame in picked.frames] == [9, 100]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "I;16"])
def test_any_image_becomes_rgb(tmp_path, mode):
    image = Image.new("L", (16, 8), 255)
    if mode == "I;16":
        image = Image.fromarray(np.full((8, 16), 65535, np.uint16))
    else:
        image = image.convert(mode)
    image.save(tmp_path / "1.png")
    frame = next(read_frame_files([tmp_path / "1.png"], ALL).frames)
    assert frame.shape == (8, 16, 3)
    assert frame.dtype == np.uint8
    assert (frame == 255).all()


def test_bad_frames_say_what_is_wrong(tmp_path):
    files = [tmp_path / f"{i}.jpg" for i in range(3)]
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for path in files:
        Image.fromarray(noise).save(path)
    cut(files[2], 0.5)
    with pytest.raises(BadFile, match=r"damaged image: .*2\.jpg"):
        list(read_frame_files(files, ALL).frames)
    Image.new("RGB", (32, 64)).save(files[1])
    with pytest.raises(BadFile, match=r"different sizes: .*1\.jpg: 32x64.*64x64"):
        list(read_frame_files(files, ALL).frames)


@pytest.mark.parametrize("kind", ["EPS", "TIFF"])
def test_an_image_is_taken_for_nothing_but_what_is_known(tmp_path, kind):
    path = tmp_path / "0.png"
    Image.fromarray(moving_square(1)[0]).save(path, kind)
    with pytest.raises(BadFile, match=r"damaged image: .*0\.png"):
        next(read_frame_files([path], ALL).frames)


def test_a_phones_picture_of_several_is_its_first(tmp_path):
    first, second = (Image.fromarray(np.full((16, 16, 3), tone, np.uint8)) for tone in (40, 200))
    first.save(tmp_path / "0.jpg", "MPO", save_all=True, append_images=[second])
    frame = next(read_frame_files([tmp_path / "0.jpg"], ALL).frames)
    assert frame.mean() == pytest.approx(40, abs=3)
