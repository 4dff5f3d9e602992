"""A page's requests, without a browser and without a socket."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from werkzeug.serving import BaseWSGIServer
from werkzeug.test import Client, TestResponse

from pipelines.explore import serve
from pipelines.explore_about import Limits
from pipelines.explore_app import Explorer
from pipelines.explore_scenes import World, open_world
from pipelines.explore_web import Web
from tests.pipelines.commands import Trained

PORT = 8000
ADDRESS = f"http://127.0.0.1:{PORT}"
NOTHING: dict[str, Any] = {"format": "particlecast-edit", "version": 1}


class Page:
    """What a page does.

    Args:
        explorer: the server's.
        host: what it is bound to.
    """

    def __init__(self, explorer: Explorer, host: str = "127.0.0.1") -> None:
        self.explorer = explorer
        self.client = Client(Web(explorer.rules(), host, PORT))

    def ask(self, method: str, path: str, **more: Any) -> TestResponse:
        """A request and its answer."""
        return self.client.open(path, method=method, base_url=more.pop("base_url", ADDRESS), **more)

    def json(self, path: str) -> Any:
        """An answer that must be good."""
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json

    def send(self, path: str, value: Any) -> TestResponse:
        """JSON to the server."""
        return self.ask("POST", path, data=json.dumps(value), content_type="application/json")

    def refused(self, status: int, method: str, path: str, **more: Any) -> str:
        """The one line of a refusal."""
        return line(self.ask(method, path, **more), status)

    def scene(self, clip: str = "data:0", frame: int = 12) -> list[dict[str, Any]]:
        """The particles of a frame."""
        return self.json(f"/api/scene?clip={clip}&frame={frame}")["particles"]

    def decode(self, particles: list[dict[str, Any]]) -> np.ndarray:
        """The picture of particles, [h, w, 3] ints."""
        answer = self.send("/api/decode", {"particles": particles})
        assert answer.status_code == 200, answer.text
        return picture(answer.data)

    def roll_out(self, edit: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """A rollout's last answer; `more` are what is asked for."""
        asked = {"clip": "data:0", "frame": 12, "edit": edit or NOTHING, "horizon": 4, **more}
        begun = self.send("/api/rollouts", asked)
        assert begun.status_code == 202, begun.text
        return self.wait(begun.get_json()["id"])

    def wait(self, name: str) -> dict[str, Any]:
        """A rollout's answer when it is over, with its name."""
        while (answer := self.json(f"/api/rollouts/{name}"))["state"] in ("waiting", "running"):
            time.sleep(0.01)
        return {**answer, "id": name}


def open_page(trained: Trained, limits: Limits | None = None, data: Path | None = None) -> Page:
    """A page of a trained run."""
    return Page(Explorer(open_tiny(trained, data), limits=limits))


def open_tiny(trained: Trained, data: Path | None = None) -> World:
    """A trained run and its clips."""
    return open_world(trained.run, str(data or trained.data))


def line(answer: TestResponse, status: int) -> str:
    """What a refusal says: one line of JSON, whatever was asked."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/json"
    told = json.loads(answer.data)
    assert list(told) == ["error"]
    assert told["error"]
    assert "\n" not in told["error"]
    assert "Traceback" not in told["error"]
    return told["error"]


def picture(data: bytes) -> np.ndarray:
    """A PNG's pixels, as ints that can be subtracted."""
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image).astype(int)


def edited(**parts: Any) -> dict[str, Any]:
    """An edit of these parts."""
    return {**NOTHING, **parts}


@contextmanager
def serving(trained: Trained) -> Iterator[BaseWSGIServer]:
    """The server on a real socket and in this process, where what it does can be replaced."""
    explorer = Explorer(open_tiny(trained))
    with serve(explorer, "127.0.0.1", 0) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()
            explorer.close()
