"""The command, and its server on a real socket."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from werkzeug.serving import BaseWSGIServer

from pipelines.cli import main
from pipelines.explore import serve
from pipelines.explore_jobs import AT_ONCE, Job
from pipelines.explore_web import LARGEST
from tests.pipelines.commands import SIDE, Trained, refused
from tests.pipelines.exploring import edited, picture, serving


@pytest.fixture(scope="module")
def server(tiny: Trained) -> Iterator[BaseWSGIServer]:
    with serving(tiny) as running:
        yield running


def ask(
    server: BaseWSGIServer, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, bytes]:
    """A request over the network: status and body."""
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body)
    kind = {"Content-Type": "application/json"} if body is not None else {}
    link.request(method, path, body, {**kind, **headers})
    answer = link.getresponse()
    found = answer.status, answer.read()
    link.close()
    return found


def test_pictures_are_drawn_while_rollouts_run(
    server: BaseWSGIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate = threading.Semaphore(0), threading.Event()
    step = Job.step

    def held(job: Job[Any]) -> None:  # they compute, but for the last step, and none is over
        begun.release()
        if job.done == job.total - 1:
            assert gate.wait(60)
        step(job)

    monkeypatch.setattr(Job, "step", held)
    _, told = ask(server, "GET", "/api/scene?clip=data:0&frame=12")
    particles = json.loads(told)["particles"]
    asked = {"clip": "data:0", "frame": 12, "edit": edited(), "horizon": 200, "samples": 20}
    names = []
    for _ in range(AT_ONCE):
        status, told = ask(server, "POST", "/api/rollouts", asked)
        assert status == 202
        names.append(json.loads(told)["id"])
        assert begun.acquire(timeout=60)
    for _ in range(5):
        status, data = ask(server, "POST", "/api/decode", {"particles": particles})
        assert status == 200
        assert picture(data).shape == (SIDE, SIDE, 3)
    states = [json.loads(ask(server, "GET", f"/api/rollouts/{name}")[1]) for name in names]
    assert [state["state"] for state in states] == ["running"] * AT_ONCE
    for name in names:
        assert ask(server, "DELETE", f"/api/rollouts/{name}")[0] == 200
    gate.set()


def test_a_huge_body_is_told_so_and_the_server_lives(server: BaseWSGIServer) -> None:
    status, told = ask(server, "POST", "/api/decode", b" " * (8 * LARGEST))
    assert status == 413
    assert b"too large" in told
    assert ask(server, "GET", "/api/about")[0] == 200


def test_other_sites_are_refused_over_the_network(server: BaseWSGIServer) -> None:
    assert ask(server, "GET", "/api/about", Host="evil.example")[0] == 403
    assert ask(server, "GET", "/api/about", Origin="http://evil.example")[0] == 403
    own = f"http://127.0.0.1:{server.port}"
    assert ask(server, "GET", "/api/about", Origin=own)[0] == 200


@pytest.mark.parametrize(
    "sent",
    [b"\x00\xff\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n",
     b"POST /api/decode HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
     b"POST /api/decode HTTP/1.1\r\nContent-Length: many\r\n\r\n",
     b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
     b"GET /%ff%fe/%00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"],
)  # fmt: skip
def test_what_is_no_request_at_all_does_not_stop_it(server: BaseWSGIServer, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
        link.sendall(sent)
        link.shutdown(socket.SHUT_WR)
        link.recv(1 << 16)
    assert ask(server, "GET", "/api/frame?clip=data:0&frame=0")[0] == 200


def test_the_command_serves_and_opens_a_browser_until_it_is_stopped(
    tiny: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit = edited(clip={"source": "data", "video": 1, "frame": 3}, removed=[0])
    (tmp_path / "edit.json").write_text(json.dumps(edit))
    opened: Queue[str] = Queue()
    servers: list[BaseWSGIServer] = []

    def remembered(*words: Any) -> BaseWSGIServer:
        servers.append(serve(*words))
        return servers[0]

    monkeypatch.setattr("pipelines.explore.serve", remembered)
    monkeypatch.setattr("webbrowser.open", opened.put)
    # Without --data, the clips are those that the run was trained on.
    words = ["explore", "--run", str(tiny.run), "--edit", str(tmp_path / "edit.json")]
    ended: Queue[int] = Queue()
    thread = threading.Thread(target=lambda: ended.put(main(words)))
    thread.start()
    address = opened.get(timeout=60)
    about = json.loads(ask(servers[0], "GET", "/api/about")[1])
    assert about["edit"] == edit
    assert about["source"] == str(tiny.data)
    assert address == f"http://127.0.0.1:{servers[0].port}/"
    assert address in capsys.readouterr().err
    servers[0].shutdown()
    thread.join()
    assert ended.get() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", servers[0].port), timeout=1)


def test_what_cannot_be_served_is_refused(
    tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(capsys, "explore", *tiny.on(), "--open", "false", "--port", port)
        assert f"cannot listen on 127.0.0.1, port {port}" in said
    said = refused(capsys, "explore", *tiny.on(), "--host", "no.such.host.invalid")
    assert "cannot listen on no.such.host.invalid" in said
    said = refused(capsys, "explore", *tiny.on(), "--port", 70000)
    assert "cannot listen" in said
    assert "no trained stage 1" in refused(capsys, "explore", "--run", tmp_path)
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(edited(removed=["x"])))
    said = refused(capsys, "explore", *tiny.on(), "--edit", bad)
    assert "removed[0]: expected a whole number" in said
    bad.write_text(json.dumps(edited(clip={"source": "data", "video": 99, "frame": 0})))
    said = refused(capsys, "explore", *tiny.on(), "--edit", bad)
    assert "bad.json: clip.video: must be from 0 to 5" in said
