import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pipelines.examples import extremes
from pipelines.report_html import Example, write_html
from pipelines.report_words import told, trust
from tests.pipelines.commands import SIDE, Trained, particlecast
from tests.pipelines.test_report import VIDEOS, outcome


class Page(HTMLParser):
    """What a page is made of; it fails at a tag that is never closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.sources += [value or "" for key, value in attrs if key in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


def example(word: str) -> Example:
    film = np.random.default_rng(0).integers(0, 256, (6, 20, 60, 3), np.uint8)
    return Example(word, f"video <{word}>", film, 10.0, [1, 3, 5], "object 0 drifted & died")


def test_the_page_is_whole_and_needs_no_other_file(tmp_path: Path) -> None:
    result = outcome(
        names=[f"v{i}" for i in range(VIDEOS)], troubles=[["object 1 drifted"]] * VIDEOS
    )
    write_html(tmp_path, result, [example("best"), example("worst")])
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert len(page.sources) == 4 + 4  # films and strips, curves
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "video &lt;best&gt;" in text
    assert "object 0 drifted &amp; died" in text
    at_five = np.asarray(result.model.psnr_moving)[:, 4].mean()
    assert f"{at_five:.2f}" in page.cells
    assert "not computed: run particlecast get-weights" in page.cells
    assert page.cells.count("object 1 drifted") == 5
    assert "not computed: add --samples 20" in page.cells
    assert escape(trust(result)) in text
    ending = text.partition("<h2>Conventions</h2>")[2]
    for title, words in told(result).items():
        assert f"<li>{escape(title)}: {escape(words)}</li>" in ending
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([], {}),
        ([4], {4: "best"}),
        ([4, 2], {4: "best", 2: "worst"}),
        ([4, 2, 9, 1, 0], {4: "best", 9: "median", 0: "worst"}),
    ],
)
def test_each_video_is_shown_once(order: list[int], expected: dict[int, str]) -> None:
    assert extremes(order) == expected


def test_evaluate_leaves_it(own: Trained, tmp_path: Path) -> None:
    world = f"synthetic:billiards,videos=30,frames=12,size={SIDE}"
    words = ("--data", world, "--run", own.run, "--context", 8, "--horizon", 4)
    particlecast("evaluate", *words, "--out", tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert Page(text).open == []
    assert set(re.findall(r"<b>(\w+)</b>", text)) == {"best", "median", "worst"}
    assert "What went worst" in text
