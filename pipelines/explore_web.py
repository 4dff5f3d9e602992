"""The page's server: who may ask, what, and how a refusal is told."""

from __future__ import annotations

import ipaddress
import json
import sys
import traceback
from collections.abc import Callable, Iterable
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

import numpy as np
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from data.errors import UserError
from pipelines.explore_json import Refused, mapping
from pipelines.film import png_bytes

LARGEST = 1 << 20
"""Bytes of a JSON request."""
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served of the package's folder `page`, and as what."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "style-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}
"""What binds to all addresses, and the one of them that a browser here opens."""

Endpoint = Callable[..., Response]


def endpoint(path: str, method: str, call: Endpoint) -> Rule:
    """What answers `method` at `path`, with the request and the path's parts."""
    return Rule(path, methods=[method], endpoint=call)


class Web:
    """A WSGI application that answers its own page alone.

    A page of another site can make a browser send requests here, so the names Host and Origin
    must be the server's own. Bound to this machine alone, these are its loopback names; bound to
    another address, that name or any numeric address: names can be made to point here, numbers
    cannot. Bound to all addresses, `localhost` too, of who asks from this machine.

    Args:
        rules: from `endpoint`.
        host: what the server is bound to.
        port: its port.
    """

    def __init__(self, rules: Iterable[Rule], host: str, port: int) -> None:
        self.routes = Map([endpoint("/", "GET", page), endpoint("/static/<name>", "GET", page)])
        for rule in rules:
            self.routes.add(rule)
        self.host, self.port = host.strip("[]"), port

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        response = self.answer(Request(environ))
        response.headers.extend(HEADERS)
        return response(environ, start)

    def answer(self, request: Request) -> Response:
        """The response, of a refusal too."""
        try:
            request.max_content_length = LARGEST
            self._admit(request)
            found, values = self.routes.bind_to_environ(request.environ).match()
            return found(request, **values)
        except Refused as error:
            return _refusal(str(error), error.status)
        except UserError as error:
            return _refusal(str(error), 400)
        except HTTPException as error:
            return _refusal(_plain(error, request), error.code or 400)
        except Exception:  # whatever it is, the server lives
            traceback.print_exc(file=sys.stderr)
            return _refusal("the server made a mistake: its terminal says which", 500)

    def _admit(self, request: Request) -> None:
        """Refuse what does not come from this server's own page."""
        host = request.environ.get("HTTP_HOST", "")
        if not self.own(host, request.remote_addr or ""):
            raise Refused("this address is not the server's own: open the one it printed", 403)
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() != f"http://{host}".lower():
            raise Refused("requests of other sites are refused", 403)
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if site not in ("same-origin", "none") and request.path != "/":
            raise Refused("requests of other sites are refused", 403)

    def own(self, host: str, asker: str) -> bool:
        """Whether a Host header names this server, for who asks from the address `asker`."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self.port or parts.netloc != host or "@" in host:
            return False
        if self.host in LOOPBACK:
            return name in LOOPBACK
        if name == "localhost" and self.host in EVERYWHERE:
            found = _address(asker.removeprefix("::ffff:"))  # as a socket of both kinds tells IPv4
            return found is not None and found.is_loopback
        return name == self.host.lower() or _address(name) is not None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def page(request: Request, name: str = "index.html") -> Response:
    """A file of the page: its name is looked up among those the package has, never opened."""
    for file in files("pipelines").joinpath("page").iterdir():
        kind = KINDS.get("." + file.name.rpartition(".")[2])
        if kind is not None and file.name == name:
            return Response(file.read_bytes(), content_type=kind)
    raise Refused("the page has no such file", 404)


def read_json(request: Request, known: tuple[str, ...]) -> dict[str, Any]:
    """The JSON object of a request, without other names than these.

    Raises:
        Refused: another kind of content, or no such object.
    """
    if request.mimetype != "application/json":
        raise Refused("send JSON, with Content-Type: application/json", 415)
    try:
        value = json.loads(request.get_data().decode())
    except (ValueError, RecursionError) as error:
        raise Refused("the request is no JSON that can be read") from error
    return mapping(value, "request", known)


def json_response(value: Any, status: int = 200) -> Response:
    """A value as JSON."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Response(text, status, content_type="application/json")


def png_response(picture: np.ndarray, headers: dict[str, str] | None = None) -> Response:
    """A uint8 picture as PNG."""
    return Response(png_bytes(picture), headers=headers, content_type="image/png")


def _refusal(message: str, status: int) -> Response:
    return json_response({"error": " ".join(message.split())}, status)


def _plain(error: HTTPException, request: Request) -> str:
    """Werkzeug's own refusals in this project's words."""
    told = {404: "there is nothing at this address", 405: "this address takes another method"}
    told[413] = f"too large: at most {(request.max_content_length or 0) >> 20} MB: send less"
    return told.get(error.code or 0, error.name.lower())
