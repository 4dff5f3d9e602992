"""A page on which particles are taken hold of.

particlecast explore --run DIR [--data SOURCE] [--host 127.0.0.1] [--port 0] [--edit FILE]
"""

from __future__ import annotations

import socket
import sys
import threading
import webbrowser
from pathlib import Path

import torch
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from data.errors import UserError
from pipelines.edit_file import load_edit
from pipelines.explore_about import LISTED
from pipelines.explore_app import Explorer
from pipelines.explore_scenes import open_world
from pipelines.explore_web import EVERYWHERE, Web


class Handler(WSGIRequestHandler):
    """Says nothing of what went well, and waits for no client forever."""

    timeout = 60

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: a page asks many times a second."""


def explore(
    run: Path,
    data: str = "",
    host: str = "127.0.0.1",
    port: int = 0,
    edit: str = "",
    browser: bool = True,
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        run: a trained run; stage 1 is enough for all but rollouts.
        data: SOURCE of the clips; empty: what the run was trained on, or of a synthetic world
            a few videos that are made anew.
        host: the address to listen on; others than this machine can ask if it is not loopback.
        port: 0: any that is free.
        edit: a file that the page saved, to begin with.
        browser: whether to open one.

    Raises:
        UserError: the run, the source, the edit or the address is unfit.
    """
    world = open_world(run, data)
    lengths = [len(video) for video in world.videos[:LISTED]]
    start = load_edit(Path(edit), world.ranges, lengths) if edit else None
    explorer = Explorer(world, start)
    server = serve(explorer, host, port)
    url = f"http://{_shown(host)}:{server.port}/"
    print(f"the page is at {url} (Ctrl-C stops it)", file=sys.stderr, flush=True)
    if browser:
        # It may itself be a program of this terminal, which ends when its user is done.
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    try:
        with server:
            server.serve_forever()
    finally:
        explorer.close()


def serve(explorer: Explorer, host: str, port: int) -> BaseWSGIServer:
    """A server that listens; `serve_forever` makes it answer.

    Raises:
        UserError: the address cannot be listened on.
    """
    # One thread an operation: pictures are small, and a rollout beside them must not slow them.
    torch.set_num_threads(1)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host.strip("[]"), port))
        listening.listen(64)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot listen on {host}, port {port}: {reason}: choose another --port or --host"
        ) from error
    bound = listening.getsockname()[1]
    app = Web(explorer.rules(), host, bound)
    server = make_server(
        host.strip("[]"), bound, app, threaded=True, request_handler=Handler, fd=listening.fileno()
    )
    listening.close()  # the server has a copy of its own
    return server


def _shown(host: str) -> str:
    """The host as it stands in an address that a browser takes."""
    bare = host.strip("[]")
    return EVERYWHERE.get(bare, f"[{bare}]" if ":" in bare else bare)
