import pytest

from data.containers import cut_short
from tests.data.files import CODECS, cut, moving_square, write_video


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_whole_and_cut(tmp_path, suffix, share):
    path = write_video(tmp_path / f"film{suffix}", moving_square(20, 64, 96))
    assert not cut_short(path)
    assert cut_short(cut(path, share))


@pytest.mark.parametrize("flags", ["faststart", "frag_keyframe+empty_moov"])
def test_index_at_the_front(tmp_path, flags):
    path = write_video(tmp_path / "film.mp4", moving_square(20), options={"movflags": flags})
    assert not cut_short(path)
    assert cut_short(cut(path, 0.7))


def test_a_streamed_recording_has_no_length_to_fall_short_of(tmp_path):
    film = moving_square(20, 64, 96)
    path = write_video(tmp_path / "film.mkv", film, options={"live": "1"})
    assert not cut_short(path)


@pytest.mark.parametrize("content", [b"", b"hello\n" * 100, bytes(range(256)) * 10])
def test_what_is_no_container_is_not_judged(tmp_path, content):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    assert not cut_short(path)
