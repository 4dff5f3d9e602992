"""What `scaling` measured as tables, and the arithmetic on it: CLEVRER, and a camera's year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.many_files import FRAMES, SIDE
from data.frames import FrameConfig
from pipelines.config import load_preset
from pipelines.provenance import in_words
from pipelines.tables import table

Row = dict[str, Any]


@dataclass(frozen=True)
class Costs:
    """What a frame, a pixel or a video takes.

    Args:
        decode: seconds of a core a source frame.
        pixel: bytes of the cache a stored pixel.
        open: seconds a decoded video.
        fixed, held: bytes of memory a data set, and a decoded video more.
        train, encode: frames a second.
        peak: bytes of memory while training.
        link: seconds of a core a frame.
        rest: bytes of the linked particles of a frame.
    """

    decode: float
    pixel: float
    open: float
    fixed: float
    held: float
    train: float
    encode: float
    peak: float
    link: float
    rest: float


@dataclass(frozen=True)
class Load:
    """A large data set.

    Args:
        videos: files.
        source: frames that are decoded.
        frames: those of them that are stored.
        size: (h, w) of these.
    """

    videos: int
    source: int
    frames: int
    size: tuple[int, int]


def clevrer() -> dict[str, Load]:
    """20,000 videos of 128 frames: all of them, and those that the preset takes."""
    videos, length = 20_000, 128
    config = FrameConfig(**load_preset("clevrer")["frames"])
    whole, picked, side = videos * length, videos * len(config.picks(length)), config.size
    return {
        "all, 128x88": Load(videos, whole, whole, (88, 128)),
        f"the preset's, {side}x{side}": Load(videos, whole, picked, (side, side)),
    }


def camera() -> dict[str, Load]:
    """A year at 25 frames a second, every fifth of them, as clips of a minute: all, and a 60th."""
    clips, length, skip = 365 * 24 * 60, 60 * 25, 5

    def load(videos: int) -> Load:
        return Load(videos, videos * length, videos * length // skip, (96, 128))

    return {"all of it": load(clips), "one minute of each hour": load(clips // 60)}


def costs(rates: Row, decoding: Row, linking: Row, films: Mapping[int, Row]) -> Costs:
    """The measurements, for one of each."""
    height, width = decoding["stored"]
    least, most = films[min(films)]["cached"], films[max(films)]["cached"]
    more = most["videos"] - least["videos"]
    # A line through the fewest and the most videos; through nothing, if there is but one number.
    held = 1e6 * (most["above"] - least["above"] if more else most["above"])
    held /= more or most["videos"]
    return Costs(
        decode=decoding["ms"] / 1e3,
        pixel=decoding["cache_bytes"] / (height * width),
        open=most["seconds"] / most["videos"],
        fixed=1e6 * most["above"] - held * most["videos"],
        held=held,
        train=rates["train"],
        encode=rates["encode"],
        peak=1e6 * rates["peak"],
        link=linking["ms"] / 1e3,
        rest=linking["rest_bytes"],
    )


def arithmetic(cost: Costs, loads: Mapping[str, Load]) -> str:
    """What data sets would take: a column of time and one of room for each."""
    names = ("frames", "decode", "open", "stage 1, one pass", "encode", "link: particles")
    columns: list[list[str]] = []
    for load in loads.values():
        pixels = load.size[0] * load.size[1]
        columns += [
            [
                f"{load.frames:,}",
                f"{span(load.source * cost.decode)} of a core",
                span(load.videos * cost.open),
                span(load.frames / cost.train),
                span(load.frames / cost.encode),
                f"{span(load.frames * cost.link)} of a core",
            ],
            [
                "",
                f"{room(load.frames * pixels * cost.pixel)} of disk",
                f"{room(cost.fixed + load.videos * cost.held)} of memory",
                f"{room(cost.peak)} of memory",
                "",
                room(load.frames * cost.rest),
            ],
        ]
    head = ["", *(word for name in loads for word in (f"{name}: time", "room"))]
    rows = [list(row) for row in zip(names, *columns, strict=True)]
    return "\n".join(table(head, rows))


def page(rates: Row, decoding: Row, linking: Row, films: dict[int, Row], pictures: Row) -> str:
    """All that holds a figure, as Markdown.

    Args:
        rates: from `scaling.read_rates`.
        decoding, linking: from `scaling`.
        films: from `scaling.opening`, by their number.
        pictures: from there too, of a folder of frames.
    """
    cost, made = costs(rates, decoding, linking, films), decoding["made"]
    imports = pictures["cached"]["peak"] - pictures["cached"]["above"]
    parts = [
        f"On {in_words(made)}. The rates of training and encoding are those of "
        "[benchmarks](../benchmarks/README.md), on all cores.",
        "### How time and memory grow",
        growth(cost, rates, decoding, linking, films),
        f"Videos of {FRAMES} frames at {SIDE} pixels, each opened in a process of its own; memory "
        f"is above the imports' {imports:.0f} MB:",
        openings(films, pictures),
        "### The whole of CLEVRER",
        "20,000 videos of 128 frames, 480x320: all frames, or those that the preset `clevrer` "
        "takes. Arithmetic on the figures above, on one machine as here:",
        arithmetic(cost, clevrer()),
        "### A year of one traffic camera",
        f"25 frames a second are {365 * 24 * 3600 * 25:,}, of which every fifth is kept "
        "(`--frames.skip 5`), 128x96, as clips of a minute:",
        arithmetic(cost, camera()),
    ]
    return "\n\n".join(parts) + "\n"


def growth(cost: Costs, rates: Row, decoding: Row, linking: Row, films: dict[int, Row]) -> str:
    """What grows with what."""
    (tall, wide), (height, width) = decoding["source"], decoding["stored"]
    videos, frames = decoding["settings"]
    most, cached = max(films), f"{decoding['cache_bytes']:,.0f}"
    shape = f"{rates['size']} pixels, K {rates['particles']}, batch {rates['batch']}"
    rows = [
        (
            "decoding",
            "frames, once",
            f"{decoding['ms']:.2g} ms of one core a frame of {wide}x{tall} H.264 of "
            f"{room(decoding['file_bytes'])}, to {width}x{height} ({videos} videos of {frames})",
        ),
        ("opening what is decoded", "videos", f"{span(most * cost.open)} for {most:,}"),
        ("cache", "3 bytes a stored pixel", f"{cached} bytes a frame of {width}x{height}"),
        (
            "memory of a data set",
            "videos; frames are mapped, not read",
            f"{cost.held / 1e3:.1f} kB a video",
        ),
        (
            "a training step of stage 1",
            "batch; K and pixels, less than in proportion",
            f"{number(rates['train'])} images/s at {shape}, {rates['peak']:.0f} MB at its peak",
        ),
        ("encoding", "frames", f"{number(rates['encode'])} images/s at {shape}"),
        (
            "linking",
            "frames and live particles",
            f"{linking['ms']:.2g} ms of one core a frame with {linking['live']:.1f} live particles "
            f"of {linking['particles']}",
        ),
        (
            "particles at rest",
            "identities x frames of each video, 18 + 4 (D + 3) bytes each",
            f"{linking['rest_bytes']:,.0f} bytes a frame (traffic, {linking['identities']:.1f} "
            f"identities in {linking['frames']:.0f} frames, D {linking['features']})",
        ),
        (
            "memory of stage 2",
            "the particles of all training videos, in each process",
            "an hour of it: [experiments](experiments.md#speed)",
        ),
    ]
    head, _, *lines = table(["what", "grows with", "measured"], rows)
    return "\n".join([head, "|---|---|---|", *lines])


def openings(films: dict[int, Row], pictures: Row) -> str:
    """Time and memory of many files, decoded and from the cache."""
    told = {f"{count:,} videos": row for count, row in films.items()}
    told[f"a folder of {pictures['cached']['frames']:,} frames"] = pictures
    rows = []
    for name, row in told.items():
        cells = [name]
        for one in (row["decoded"], row["cached"]):
            cells += [span(one["seconds"]), f"{one['above']:.0f} MB"]
        rows.append(cells)
    return "\n".join(table(["", "decoding", "memory", "from the cache", "memory"], rows))


def span(seconds: float) -> str:
    """A time in the unit that suits it."""
    units = {"days": 86400, "h": 3600, "min": 60, "s": 1}
    least = {"days": 3 * 86400, "h": 3600, "min": 60}
    unit = next((unit for unit, first in least.items() if seconds >= first), "s")
    value = seconds / units[unit]
    return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"


def room(size: float) -> str:
    """Bytes in the unit that suits them."""
    units = {"TB": 1e12, "GB": 1e9, "MB": 1e6, "kB": 1e3}
    unit = next((unit for unit, least in units.items() if size >= least), "kB")
    return f"{number(size / units[unit])} {unit}"


def number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
