"""What is measured once and kept, and the arithmetic on it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import scaling
from benchmarks.many_files import FRAMES
from benchmarks.scaling_page import arithmetic, camera, clevrer, costs, page, room, span
from pipelines.marks import BEGIN, END

BENCH = Path(__file__).parents[2] / "benchmarks" / "bench.json"
RATES = {"size": 128, "particles": 10, "batch": 32, "train": 100.0, "encode": 400.0, "peak": 900.0}
DECODING = {
    "settings": [10, 128],
    "made": {"machine": "abacus", "cores": 2, "python": "3.11", "torch": "2.13"},
    "ms": 2.0,
    "file_bytes": 4500.0,
    "source": [320, 480],
    "stored": [88, 128],
    "cache_bytes": 33_792.0,
}
LINKING = {
    "ms": 0.25,
    "live": 4.5,
    "particles": 12,
    "features": 16,
    "frames": 50.0,
    "identities": 10.0,
    "rest_bytes": 940.0,
}


def opened(seconds: float, above: float, videos: int, frames: int) -> dict[str, Any]:
    one = {"peak": 82 + above, "above": above, "videos": videos, "frames": frames}
    return {"decoded": {"seconds": 50 * seconds, **one}, "cached": {"seconds": seconds, **one}}


# 2 MB, and 1.5 kB a video.
FILMS = {2_000: opened(0.4, 5.0, 2_000, 16_000), 10_000: opened(2.0, 17.0, 10_000, 80_000)}
PICTURES = opened(0.5, 15.0, 1, 10_000)


def cells(text: str, name: str) -> list[str]:
    """The row of a table that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_clevrer_takes_what_its_frames_take() -> None:
    cost = costs(RATES, DECODING, LINKING, FILMS)
    text = arithmetic(cost, clevrer())
    # 20,000 videos of 128 frames; of each the preset takes those from 26 on, every third: 34.
    assert cells(text, "frames") == ["2,560,000", "", "680,000", ""]
    # 5,120 s; 3 bytes a pixel, of 11,264 and of 16,384 pixels.
    disk = ["1.4 h of a core", "86.5 GB of disk", "1.4 h of a core", "33.4 GB of disk"]
    assert cells(text, "decode") == disk
    assert cells(text, "open") == ["4 s", "32 MB of memory"] * 2
    a_pass = ["7.1 h", "900 MB of memory", "1.9 h", "900 MB of memory"]  # 25,600 s and 6,800 s
    assert cells(text, "stage 1, one pass") == a_pass
    assert cells(text, "encode") == ["1.8 h", "", "28 min", ""]  # 6,400 s and 1,700 s
    # 640 s and 170 s; 940 bytes a frame.
    rest = ["11 min of a core", "2.41 GB", "2.8 min of a core", "639 MB"]
    assert cells(text, "link: particles") == rest


def test_a_camera_films_a_year_and_a_sixtieth_of_it() -> None:
    text = arithmetic(costs(RATES, DECODING, LINKING, FILMS), camera())
    assert cells(text, "frames") == ["157,680,000", "", "2,628,000", ""]
    # 788,400,000 frames of 2 ms are 18.25 days; a kept one has 12,288 pixels.
    disk = ["18 days of a core", "5.81 TB of disk", "7.3 h of a core", "96.9 GB of disk"]
    assert cells(text, "decode") == disk
    # 525,600 and 8,760 clips of 0.2 ms; 2 MB and 1.5 kB each.
    memory = ["1.8 min", "790 MB of memory", "1.8 s", "15.1 MB of memory"]
    assert cells(text, "open") == memory
    assert cells(text, "encode") == ["4.6 days", "", "1.8 h", ""]
    rest = ["11 h of a core", "148 GB", "11 min of a core", "2.47 GB"]
    assert cells(text, "link: particles") == rest


def test_a_single_number_of_videos_takes_memory_in_proportion() -> None:
    cost = costs(RATES, DECODING, LINKING, {2_000: FILMS[2_000]})
    assert (cost.fixed, cost.held) == pytest.approx((0, 2_500))


def test_the_page_tells_what_was_measured() -> None:
    text = page(RATES, DECODING, LINKING, FILMS, PICTURES)
    assert "On abacus, 2 cores, Python 3.11, torch 2.13." in text
    told = {
        "decoding": "2 ms of one core a frame of 480x320 H.264 of 4.5 kB, to 128x88 (10 videos of",
        "opening what is decoded": "2 s for 10,000",
        "cache": "33,792 bytes a frame of 128x88",
        "memory of a data set": "1.5 kB a video",
        "a training step of stage 1": "100 images/s at 128 pixels, K 10, batch 32, 900 MB at its",
        "encoding": "400 images/s at 128 pixels, K 10, batch 32",
        "linking": "0.25 ms of one core a frame with 4.5 live particles of 12",
        "particles at rest": "940 bytes a frame (traffic, 10.0 identities in 50 frames, D 16)",
    }
    for name, figure in told.items():
        assert cells(text, name)[1].startswith(figure)
    assert "memory is above the imports' 82 MB" in text
    assert cells(text, "2,000 videos") == ["20 s", "5 MB", "0.4 s", "5 MB"]
    assert cells(text, "10,000 videos") == ["1.7 min", "17 MB", "2 s", "17 MB"]
    assert cells(text, "a folder of 10,000 frames") == ["25 s", "15 MB", "0.5 s", "15 MB"]


def test_times_and_sizes_have_the_unit_that_suits_them() -> None:
    seconds = (0.03, 59, 60, 3599, 3600, 71 * 3600, 72 * 3600, 1e8)
    told = ["0.03 s", "59 s", "1 min", "60 min", "1 h", "71 h", "3 days", "1,157 days"]
    assert [span(one) for one in seconds] == told
    sizes = (12, 4500, 33e6, 966e6, 1e9, 5.81e12)
    assert [room(one) for one in sizes] == [
        "0.012 kB",
        "4.5 kB",
        "33 MB",
        "966 MB",
        "1 GB",
        "5.81 TB",
    ]


def test_each_measurement_is_made_once_kept_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "scaling.md"
    kept.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    words = ["--out", str(tmp_path), "--page", str(kept), "--videos", "3", "--frames", "4"]
    words += ["--traffic", "synthetic:traffic,size=64,videos=3,frames=6,seed=1"]

    assert scaling.main([*words, "--counts", "3", "4"]) == 2
    assert "no rates at 128 pixels, K 10, batch 32: run make bench" in capsys.readouterr().err
    (tmp_path / "bench.json").write_bytes(BENCH.read_bytes())

    assert scaling.main([*words, "--counts", "3", "4"]) == 0
    names = ["decoding", "linking", "3 films", "4 films", "4 pictures"]
    assert re.findall("measuring (.*)", capsys.readouterr().err) == names
    text = kept.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in re.split(r"\W", text)
    found = json.loads((tmp_path / "scaling.json").read_text())
    assert found["decoding"]["stored"] == [88, 128]
    # 3 bytes a pixel, and the index and heads of the files.
    assert 0 < found["decoding"]["cache_bytes"] - 3 * 88 * 128 < 500
    assert found["decoding"]["ms"] > 0
    linked = found["linking"]
    assert 0 < linked["live"] <= linked["identities"]
    row = 18 + 4 * (linked["features"] + 3)
    assert 0 < linked["rest_bytes"] - row * linked["identities"] < 500
    for state in ("decoded", "cached"):
        one, folder = found["4 films"][state], found["4 pictures"][state]
        assert (one["videos"], one["frames"]) == (4, 4 * FRAMES)
        assert (folder["videos"], folder["frames"]) == (1, 4)
        # Its own memory, not what this process had when it began.
        assert 20 < one["peak"] - one["above"] < 150

    # What is there is not measured again, but with other settings, or if it is asked for.
    assert scaling.main([*words, "--counts", "3", "4"]) == 0
    assert "measuring" not in capsys.readouterr().err
    assert kept.read_text() == text
    assert scaling.main([*words, "--counts", "3", "4", "--frames", "5"]) == 0
    assert re.findall("measuring (.*)", capsys.readouterr().err) == ["decoding"]
    kept.write_text("no place")
    assert scaling.main([*words, "--counts", "3", "4", "--again"]) == 2
    assert "has no place for the results" in capsys.readouterr().err


def test_again_measures_what_is_there_and_a_stranger_file_is_refused(tmp_path: Path) -> None:
    file, made = tmp_path / "scaling.json", iter(range(9))

    def work(size: int) -> dict[str, Any]:
        return {"found": next(made), "size": size}

    for again, size, found in ((False, 1, 0), (False, 1, 0), (True, 1, 1), (False, 2, 2)):
        row = scaling.Kept(file, again).once("work", work, size)
        assert (row["found"], row["size"]) == (found, size)
    file.write_text("[")
    with pytest.raises(scaling.UserError, match="cannot be read"):
        scaling.Kept(file, False)
