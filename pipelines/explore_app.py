"""What the page's server answers to each request."""

from __future__ import annotations

import base64
import contextlib
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from werkzeug.routing import Rule
from werkzeug.wrappers import Request, Response

from dynamics.model import GraphDynamics
from pipelines.directions import COLUMNS, Directions, find_directions, strips
from pipelines.edit_file import Written, check_room, read_edit
from pipelines.explore_about import Limits, describe
from pipelines.explore_film import FORMATS
from pipelines.explore_futures import (
    Futures,
    edited_state,
    foresee,
    sprite,
    steps,
    told,
)
from pipelines.explore_jobs import Job, Jobs
from pipelines.explore_json import Refused, read_particles, whole
from pipelines.explore_scenes import NOT_TRAINED, Scenes, World
from pipelines.explore_upload import AT_ONCE, one_of, read_dropped
from pipelines.explore_web import endpoint, json_response, png_response, read_json
from pipelines.film import png_bytes
from pipelines.kept import once


class Explorer:
    """Everything the page asks, over one world.

    No request leaves anything behind but what does not change: clips, scenes and rollouts, the
    first and last under names that nobody guesses. The edit lives in the page.

    Args:
        world: what it is about.
        edit: JSON of the edit to begin with.
        limits: what a page may ask for.
    """

    def __init__(
        self, world: World, edit: dict[str, Any] | None = None, limits: Limits | None = None
    ) -> None:
        self.world, self.edit, self.limits = world, edit, limits or Limits()
        self.scenes = Scenes(world)
        self.jobs: Jobs[Futures] = Jobs()
        self.directions: Callable[[], Directions] = once(
            lambda: find_directions(world.model, world.videos)
        )
        self._heavy = threading.Lock()  # one file is decoded or encoded at a time
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def close(self) -> None:
        """End what is under way: a thread that computes must not outlive the program."""
        self.jobs.close()
        with contextlib.suppress(Exception):
            self.directions()

    def rules(self) -> list[Rule]:
        """What answers where."""
        job = "/api/rollouts/<name>"
        return [
            endpoint("/api/about", "GET", self.about),
            endpoint("/api/directions", "GET", self.show_directions),
            endpoint("/api/frame", "GET", self.frame),
            endpoint("/api/scene", "GET", self.scene),
            endpoint("/api/decode", "POST", self.decode),
            endpoint("/api/upload", "POST", self.upload),
            endpoint("/api/rollouts", "POST", self.roll_out),
            endpoint(job, "GET", self.rollout),
            endpoint(job, "DELETE", self.cancel),
            endpoint(f"{job}/original.png", "GET", self.original),
            endpoint(f"{job}/changed.png", "GET", self.changed),
            endpoint(f"{job}/file", "GET", self.file),
        ]

    def about(self, request: Request) -> Response:
        """What the page is about, asked once as it opens."""
        told = describe(self.world, self.directions(), self.limits)
        return json_response({**told, "edit": self.edit})

    def show_directions(self, request: Request) -> Response:
        """A row of glimpses for each direction of appearance."""
        picture = strips(self.world.model, self.world.videos, self.directions())
        if not picture.size:
            raise Refused("the clips hold no particles to tell directions of appearance from", 404)
        return png_response(picture, {"X-Columns": str(COLUMNS)})

    def frame(self, request: Request) -> Response:
        """A source frame, as the model sees it."""
        return png_response(self.scenes.frame(*_place(request)))

    def scene(self, request: Request) -> Response:
        """The particles of a frame, and what is drawn of them."""
        scene = self.scenes.scene(*_place(request))
        picture = base64.b64encode(png_bytes(scene.drawn)).decode()
        return json_response(
            {
                "particles": scene.particles,
                "context": scene.context,
                "reconstruction": f"data:image/png;base64,{picture}",
            }
        )

    def decode(self, request: Request) -> Response:
        """The picture of exactly the particles that are sent."""
        sent = read_json(request, ("particles", "clip", "frame"))
        particles = read_particles(sent.get("particles"), self.world.ranges)
        rest = None if sent.get("clip") is None else self.scenes.rest(*_named_place(sent))
        return png_response(self.scenes.draw(particles, rest))

    def upload(self, request: Request) -> Response:
        """A dropped file becomes a clip."""
        if request.mimetype != "application/octet-stream":
            raise Refused("send the file with Content-Type: application/octet-stream", 415)
        request.max_content_length = self.limits.upload_bytes
        name = _shown(unquote(request.headers.get("X-Name", "")))
        with one_of(self._places):
            dropped = read_dropped(
                request.stream,
                name,
                self.world.model.size,
                self.world.dlp.frames,
                self.limits.pixels,
                self.limits.frames,
                self._heavy,
            )
        clip = self.scenes.add(dropped.video)
        frames = len(dropped.video)
        return json_response({"clip": clip, "frames": frames, "name": name, "note": dropped.note})

    def roll_out(self, request: Request) -> Response:
        """Begin a rollout."""
        dynamics = self.world.dynamics
        if dynamics is None:
            raise Refused(NOT_TRAINED, 409)
        sent = read_json(request, ("clip", "frame", "edit", "horizon", "samples", "seed"))
        clip, number = _named_place(sent)
        horizon = whole(sent.get("horizon"), "horizon", 1, self.limits.horizon)
        samples = whole(sent.get("samples", 0), "samples", 0, self.limits.samples)
        seed = whole(sent.get("seed", 0), "seed", 0, 2**31)
        written = read_edit(sent.get("edit"), self.world.ranges)
        if samples and not dynamics.config.chance:
            raise Refused("this run was trained without chance and foresees one future", 409)
        work = self._work(dynamics, clip, number, written, horizon, samples, seed)
        job = self.jobs.start(work, steps(horizon, samples))
        return json_response({"id": job.id}, 202)

    def _work(
        self,
        dynamics: GraphDynamics,
        clip: str,
        number: int,
        written: Written,
        horizon: int,
        samples: int,
        seed: int,
    ) -> Callable[[Job[Futures]], Futures]:
        """What a rollout's job does. What does not fit the scene is refused before it begins."""
        model, video = self.world.model, self.scenes.clip(clip)
        scene = self.scenes.scene(clip, number)
        check_room(len(scene.particles), written)
        edited_state(model, scene.observed.state, written)

        def work(job: Job[Futures]) -> Futures:
            return foresee(
                model,
                dynamics,
                scene.observed,
                written,
                horizon,
                samples,
                seed,
                video.fps,
                video.name,
                job.step,
            )

        return work

    def rollout(self, request: Request, name: str) -> Response:
        """How far a rollout is, and what it came to."""
        job = self.jobs.get(name)
        answer = {part: getattr(job, part) for part in ("state", "done", "total", "error")}
        if answer["state"] == "done":
            answer["result"] = told(self._done(name), f"/api/rollouts/{name}")
        return json_response(answer)

    def cancel(self, request: Request, name: str) -> Response:
        """Stop a rollout before its next step."""
        job = self.jobs.get(name)
        job.cancel()
        return json_response({"state": job.state})

    def original(self, request: Request, name: str) -> Response:
        """The frames of the future without the edit."""
        return png_response(sprite(self._done(name).original.forecast.frames))

    def changed(self, request: Request, name: str) -> Response:
        """The frames of the future with it."""
        return png_response(sprite(self._done(name).changed.forecast.frames))

    def file(self, request: Request, name: str) -> Response:
        """Both futures as a file to keep."""
        futures, kind = self._done(name), request.args.get("format", "")
        if kind not in FORMATS:
            raise Refused(f"format: expected one of {', '.join(FORMATS)}")
        write, content = FORMATS[kind]
        with self._heavy:
            packed = write(futures)
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", futures.name).strip("._-") or "clip"
        attached = {"Content-Disposition": f'attachment; filename="{stem}_futures.{kind}"'}
        return Response(packed, headers=attached, content_type=content)

    def _done(self, name: str) -> Futures:
        result = self.jobs.get(name).result
        if result is None:
            raise Refused("this rollout has no result yet", 409)
        return result


def _place(request: Request) -> tuple[str, int]:
    """The clip and the frame that a request is about."""
    number = request.args.get("frame", "")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        raise Refused("frame: expected a whole number, from 0 on")
    return request.args.get("clip", ""), int(number)


def _named_place(sent: dict[str, Any]) -> tuple[str, int]:
    """The clip and the frame that a request's JSON is about."""
    if not isinstance(clip := sent.get("clip"), str):
        raise Refused("clip: expected text")
    return clip, whole(sent.get("frame"), "frame", 0, 2**31)


def _shown(name: str) -> str:
    """A file's name as messages show it: one line of printed characters, without folders."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in last if c.isprintable())[-80:] or "file"
