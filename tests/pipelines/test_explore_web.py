"""Who may ask, and how what is wrong is told."""

from __future__ import annotations

import pytest
from werkzeug.test import Client

from pipelines.explore_web import LARGEST, Web
from tests.pipelines.commands import Trained
from tests.pipelines.exploring import ADDRESS, PORT, Page, line, open_page


@pytest.fixture(scope="module")
def page(tiny: Trained) -> Page:
    return open_page(tiny)


def test_the_page_and_its_files_are_served_with_their_kinds(page: Page) -> None:
    answer = page.ask("GET", "/")
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert "<!doctype html>" in answer.text.lower()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert page.ask("GET", "/static/style.css").content_type == "text/css; charset=utf-8"
    script = page.ask("GET", "/static/main.js")
    assert script.content_type == "text/javascript; charset=utf-8"
    assert script.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../explore.py",
        "/static/..%2fexplore.py",
        "/static/%2e%2e/explore.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/..%5cexplore.py",
        "/static/style.css%00.png",
        "/static/",
        "/static/nothing.js",
        "/static/STYLE.CSS",
        "/style.css",
        "/api",
        "/api/rollouts/../about",
    ],
)
def test_nothing_but_the_pages_own_files_is_served(page: Page, path: str) -> None:
    page.refused(404, "GET", path)


@pytest.mark.parametrize(
    "clip",
    ["", "data:", "data:-1", "data:99", "data:1.0", "data:²", "data:" + "9" * 400, "/etc/passwd",
     "data:../../etc", "upload:", "upload:../../x", "file:///etc/passwd", "data:0\n", "video"],
)  # fmt: skip
def test_a_clip_is_a_name_among_those_known_never_a_path(page: Page, clip: str) -> None:
    for what in ("frame", "scene"):
        query = {"clip": clip, "frame": "0"}
        page.refused(404, "GET", f"/api/{what}", query_string=query)


@pytest.mark.parametrize("frame", ["", "-1", "x", "1.5", "1e3", "²", "٣", "9" * 5000, "NaN"])
def test_a_frame_is_a_whole_number(page: Page, frame: str) -> None:
    query = {"clip": "data:0", "frame": frame}
    assert "frame" in page.refused(400, "GET", "/api/scene", query_string=query)


def test_a_frame_past_the_end_says_which_there_are(page: Page) -> None:
    query = {"clip": "data:0", "frame": "24"}
    assert "frames 0 to 23" in page.refused(404, "GET", "/api/frame", query_string=query)


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:8001", "localhost:80",
     f"127.0.0.1.evil.example:{PORT}", f"user@127.0.0.1:{PORT}", f"127.0.0.1:{PORT}/x", "",
     f"127.0.0.2:{PORT}", "[::1", "127.0.0.1:99999999", f"0x7f000001:{PORT}"],
)  # fmt: skip
def test_a_foreign_host_is_refused(page: Page, host: str) -> None:
    for path in ("/", "/api/about", "/static/main.js"):
        answer = page.ask("GET", path, environ_overrides={"HTTP_HOST": host})
        assert "address" in line(answer, 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_loopback_has_several_names(page: Page, host: str) -> None:
    own = {"HTTP_HOST": f"{host}:{PORT}", "HTTP_ORIGIN": f"http://{host}:{PORT}"}
    assert page.ask("GET", "/", environ_overrides=own).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:8000", "http://127.0.0.1:8001", "",
     "http://localhost:8000", "http://127.0.0.1:8000.evil.example", "file://"],
)  # fmt: skip
def test_a_foreign_origin_is_refused_whatever_it_asks(page: Page, origin: str) -> None:
    for method, path in (
        ("GET", "/api/about"),
        ("POST", "/api/decode"),
        ("POST", "/api/upload"),
        ("DELETE", "/api/rollouts/x"),
    ):
        page.refused(403, method, path, headers={"Origin": origin})


def test_a_picture_on_another_site_cannot_ask_either(page: Page) -> None:
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site}
        page.refused(403, "GET", "/api/frame?clip=data:0&frame=0", headers=headers)
        assert page.ask("GET", "/", headers=headers).status_code == 200  # a link to the page may


def test_an_address_that_others_reach_takes_numbers_and_its_own_name(page: Page) -> None:
    for bound, good, bad in (
        ("0.0.0.0", "192.168.1.7", "evil.example"),
        ("box.local", "box.local", "localhost"),
        ("::", "[fe80::1]", "evil.example"),
    ):
        client = Client(Web(page.explorer.rules(), bound, PORT))
        for name, status in ((good, 200), (bad, 403)):
            host = {"HTTP_HOST": f"{name}:{PORT}"}
            assert client.get("/", base_url=ADDRESS, environ_overrides=host).status_code == status


@pytest.mark.parametrize("bound", ["0.0.0.0", "::"])
def test_bound_to_all_addresses_localhost_is_of_this_machine(page: Page, bound: str) -> None:
    client = Client(Web(page.explorer.rules(), bound, PORT))
    for asker, status in (
        ("127.0.0.1", 200),
        ("::1", 200),
        ("::ffff:127.0.0.1", 200),
        ("192.168.1.7", 403),
        ("::ffff:192.168.1.7", 403),
        ("", 403),
    ):
        asked = {"HTTP_HOST": f"localhost:{PORT}", "REMOTE_ADDR": asker}
        assert client.get("/", base_url=ADDRESS, environ_overrides=asked).status_code == status
        asked["HTTP_HOST"] = f"evil.example:{PORT}"
        assert client.get("/", base_url=ADDRESS, environ_overrides=asked).status_code == 403


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"1", b'"x"', b"{'a': 1}", b"\xff\xfe", b'{"a": 1}', b"[" * 10**5,
     b'{"particles": ' + b"[" * 10**5, b'{"particles": NaN}', b"\x00", b'{"particles": {}}',
     b'{"particles": [1]}', b'{"particles": null}', b"1" * 5000],
)  # fmt: skip
def test_malformed_json_is_told_in_one_line(page: Page, body: bytes) -> None:
    for path in ("/api/decode", "/api/rollouts"):
        page.refused(400, "POST", path, data=body, content_type="application/json")


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_what_a_foreign_form_can_send_is_refused(page: Page, kind: str) -> None:
    body = b'{"particles": []}'
    for path in ("/api/decode", "/api/rollouts", "/api/upload"):
        page.refused(415, "POST", path, data=body, content_type=kind)


def test_huge_requests_are_refused(page: Page) -> None:
    body = b" " * (LARGEST + 1)
    said = page.refused(413, "POST", "/api/decode", data=body, content_type="application/json")
    assert said == "too large: at most 1 MB: send less"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/"), ("GET", "/api/decode"), ("PUT", "/api/about"), ("DELETE", "/api/scene"),
     ("POST", "/api/rollouts/x"), ("TRACE", "/"), ("OPTIONS", "/api/decode")],
)  # fmt: skip
def test_another_method_is_refused(page: Page, method: str, path: str) -> None:
    answer = page.ask(method, path)
    if method == "OPTIONS":  # no site is told that it may
        assert "Access-Control-Allow-Origin" not in answer.headers
    else:
        line(answer, 405)


def test_a_mistake_of_the_servers_own_is_told_and_it_lives(
    page: Page, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(page.explorer.scenes, "frame", lambda *_: 1 / 0)
        query = {"clip": "data:0", "frame": "0"}
        page.refused(500, "GET", "/api/frame", query_string=query)
        assert "ZeroDivisionError" in capsys.readouterr().err
    assert page.ask("GET", "/api/frame", query_string=query).status_code == 200
