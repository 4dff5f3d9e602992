"""What tests share: the one small run, which they do not write into, and the page it is seen on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.pipelines.browser import Sight, chromium, explored
from tests.pipelines.commands import FRAMES, SIDE, Trained, particlecast, train_tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Billiards, made and trained on by the commands themselves."""
    home = tmp_path_factory.mktemp("tiny")
    sizes = ("--videos", 6, "--frames", FRAMES, "--size", SIDE)
    particlecast("make-data", "billiards", home / "clips", *sizes)
    return train_tiny(home / "clips", home / "run")


@pytest.fixture
def own(tiny: Trained, tmp_path: Path) -> Trained:
    """A copy of that run, to be changed or broken."""
    run = shutil.copytree(tiny.run, tmp_path / "run", symlinks=True)
    return Trained(tiny.data, run)


@pytest.fixture(scope="session")
def address(tiny: Trained) -> Iterator[str]:
    """The page of that run."""
    with explored(*tiny.on()) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A module's own: others may run event loops of theirs."""
    with chromium() as started:
        yield started


@pytest.fixture
def sight(browser: Browser, address: str) -> Iterator[Sight]:
    """A new tab; in the end nothing in it has gone wrong, and it has asked its own server only."""
    context = browser.new_context(viewport={"width": 1120, "height": 760}, accept_downloads=True)
    seen = Sight(context.new_page(), address).open()
    yield seen
    context.close()
    assert seen.errors == []
    local = (address, f"blob:{address}", "data:")
    assert [request.url for request in seen.asked if not request.url.startswith(local)] == []
