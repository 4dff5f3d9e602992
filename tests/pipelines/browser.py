"""The page as a person has it: the command serves it, and a real browser shows it."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.pipelines.commands import REPOSITORY, started

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREENSHOTS = REPOSITORY / "build" / "screenshots"
Place = tuple[float, float]

BOX = """canvas => {
    canvas.scrollIntoView({block: "nearest"});
    const {left, top, width} = canvas.getBoundingClientRect();
    return [left, top, width / canvas.width];
}"""
DROP = """([name, bytes]) => {
    const carried = new DataTransfer();
    carried.items.add(new File([new Uint8Array(bytes)], name));
    for (const kind of ["dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(kind,
            {dataTransfer: carried, bubbles: true, cancelable: true}));
}"""


def read_picture(url: str) -> np.ndarray:
    """A PNG in a data: URL, as [h, w, 4] int."""
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGBA")).astype(int)


def moved(place: Place) -> Place:
    """A place a few pixels away."""
    return place[0] + 5, place[1] + 6


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """[h, w] bool: which pixels are others."""
    return (before != after).any(-1)


@contextmanager
def explored(*words: object) -> Iterator[str]:
    """The address of a page that `particlecast explore` serves meanwhile."""
    command = started("explore", *words, "--open", "false")
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            said = []
            for line in server.stderr:
                said.append(line)
                if found := re.search(r"http://\S+", line):
                    yield found.group()
                    break
            else:
                raise AssertionError("".join(said))
        finally:
            server.terminate()


def installed() -> str | None:
    """Where the system's Chromium is, if it has one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    path = installed()
    assert path, "no Chromium was found: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=FLAGS, chromium_sandbox=False
        )
        yield browser
        browser.close()


@dataclass
class Sight:
    """One tab, what can be seen in it, and what it did.

    Args:
        tab: of the browser.
        address: of the page.
    """

    tab: Page
    address: str
    errors: list[str] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        def heard(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.errors.append(message.text)

        self.tab.set_default_timeout(20_000)
        self.tab.on("console", heard)
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.on("request", lambda request: self.asked.append(request))

    def open(self) -> Sight:
        """Load the page, and wait for its first picture."""
        self.tab.goto(self.address)
        self.tab.wait_for_selector("body[data-ready]")
        self.settle()
        return self

    def settle(self) -> None:
        """Wait until the picture is the one of the scene as it is now."""
        self.tab.wait_for_selector("#picture[aria-busy=false]")

    def pixels(self, stage: str = "picture") -> np.ndarray:
        """What a stage shows under its signs, [h, w, 3] int."""
        return self._canvas(f"#{stage} .pixels")[..., :3]

    def signs(self, stage: str) -> np.ndarray:
        """What is painted over a stage, [h, w, 4] int."""
        self.tab.evaluate("() => new Promise(requestAnimationFrame)")
        return self._canvas(f"#{stage} .overlay")

    def _canvas(self, which: str) -> np.ndarray:
        url = self.tab.locator(which).evaluate("canvas => canvas.toDataURL()")
        return read_picture(url)

    @property
    def particles(self) -> dict[int, Place]:
        """Where each particle is, in pixels, as it is read aloud."""
        labels = "chips => chips.map(chip => chip.getAttribute('aria-label'))"
        said = self.tab.locator(".chip").evaluate_all(labels)
        numbers = [re.findall(r"-?[\d.]+", words)[:3] for words in said]
        return {int(number): (float(x), float(y)) for number, x, y in numbers}

    @property
    def selected(self) -> list[int]:
        """The particles that are selected."""
        chips = self.tab.locator('.chip[aria-pressed="true"]')
        return chips.evaluate_all("chips => chips.map(chip => Number(chip.dataset.id))")

    def on_screen(self, place: Place, stage: str = "frame") -> Place:
        """Where a place of the frame is in the window."""
        canvas = self.tab.locator(f"#{stage} .pixels")
        left, top, factor = canvas.evaluate(BOX)
        return left + (place[0] + 0.5) * factor, top + (place[1] + 0.5) * factor

    def drag(self, start: Place, end: Place, *, hold: bool = False, key: str = "") -> None:
        """Press, move and let go, in pixels of the frame.

        Args:
            hold: don't let go.
            key: that is pressed meanwhile.
        """
        mouse = self.tab.mouse
        if key:
            self.tab.keyboard.down(key)
        mouse.move(*self.on_screen(start))
        mouse.down()
        mouse.move(*self.on_screen(end), steps=6)
        if not hold:
            mouse.up()
        if key:
            self.tab.keyboard.up(key)
        self.settle()

    def slide(self, label: str, key: str) -> None:
        """A key on a slider."""
        self.tab.get_by_label(label, exact=True).press(key)
        self.settle()

    def press(self, *keys: str) -> None:
        """Keys, one after the other."""
        for key in keys:
            self.tab.keyboard.press(key)
        self.settle()

    def choose(self, *numbers: int) -> None:
        """Select particles by their buttons."""
        for index, number in enumerate(numbers):
            chip = self.tab.locator(f'.chip[data-id="{number}"]')
            chip.click(modifiers=["Shift"] if index else [])

    def drop(self, name: str, content: bytes) -> None:
        """Let a file fall on the page."""
        self.tab.evaluate(DROP, [name, list(content)])

    def roll_out(self, horizon: int, samples: int = 0) -> None:
        """Ask for both futures and wait for them."""
        self.tab.fill("#horizon", str(horizon))
        self.tab.fill("#samples", str(samples))
        with self.tab.expect_response("**/changed.png"):
            self.tab.click("#roll")
        self.tab.wait_for_selector("#roll", state="visible")

    def scrub(self, step: int) -> None:
        """Show one step of the futures, from 1 on, and stay there."""
        self.tab.locator("#scrub").fill(str(step))

    def said(self) -> str:
        """What is read aloud, and stands under the picture."""
        return self.tab.locator("#status").inner_text()

    def refused(self) -> str:
        """The one line of a refusal, when it has come."""
        self.tab.wait_for_selector("#alert:not(:empty)")
        words = self.tab.locator("#alert").inner_text()
        assert "\n" not in words
        return words

    def sent(self, path: str) -> list[Any]:
        """What was posted to a path, as JSON."""
        return [r.post_data_json for r in self.asked if r.url.endswith(path) and r.post_data]

    def shoot(self, name: str, folder: Path = SCREENSHOTS) -> Path:
        """A picture of the whole page, for a person to look at."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        self.tab.screenshot(path=path, full_page=True)
        return path
