"""Traffic: one fixed camera over a road of four lanes; each video has other vehicles.

Drivers keep their distance by the Intelligent Driver Model (Treiber et al., 2000), and now and
then one brakes for no visible reason. Metres and seconds; ten frames a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.errors import UserError
from data.videos import Video
from data.worlds.drawing import Layers, render
from data.worlds.road import LANES, REACH, Camera, paint_background, paint_front
from data.worlds.vehicle_kinds import KINDS, Kind
from data.worlds.vehicles import draw_vehicle, paints

STEP = 0.1  # seconds a frame
WARM_UP = 20  # frames
SUBSTEPS = 2
ACCELERATION, BRAKING = 1.6, 3.0  # comfortable, m/s^2
HEADWAY, STANDSTILL = 0.9, 2.0  # s, m
SLOWEST, FASTEST = 5.0, 9.0  # a lane's speed, m/s
GAPS = (6.0, 36.0)  # between vehicles at the start, m
BRAKE_CHANCE = 0.25  # that a driver brakes once in 50 frames


@dataclass(frozen=True)
class Flow:
    """Vehicles over time, all lanes together: n of them for t frames.

    Args:
        kind: n vehicle kinds.
        lane: [n] index into LANES.
        along: [t, n] metres travelled in its lane's direction, 0 in the middle of the picture.
        speed: [t, n] m/s.
        brakes: [t, n] bool, brake lights on.
    """

    kind: list[Kind]
    lane: np.ndarray
    along: np.ndarray
    speed: np.ndarray
    brakes: np.ndarray


def simulate(frames: int, size: int, rng: np.random.Generator) -> Video:
    """Traffic for `frames` frames of `size` x `size` pixels; only vehicles that come near.

    Raises:
        UserError: so many frames that more than 255 vehicles pass.
    """
    flow = drive(frames, rng)
    if len(flow.kind) > np.iinfo(np.uint8).max:  # the labels of a mask are bytes
        raise UserError(f"too many frames: {frames}: more than 255 vehicles pass: give fewer")
    colours = [paints(kind, rng) for kind in flow.kind]
    return draw(flow, colours, size)


def drive(frames: int, rng: np.random.Generator) -> Flow:
    """Every lane's queue, by the Intelligent Driver Model."""
    lanes = [drive_lane(frames, lane, rng) for lane in range(len(LANES))]
    return Flow(
        kind=[kind for lane in lanes for kind in lane.kind],
        lane=np.concatenate([lane.lane for lane in lanes]),
        along=np.concatenate([lane.along for lane in lanes], 1),
        speed=np.concatenate([lane.speed for lane in lanes], 1),
        brakes=np.concatenate([lane.brakes for lane in lanes], 1),
    )


def drive_lane(frames: int, lane: int, rng: np.random.Generator) -> Flow:
    """One lane, leader first; the queue is long enough that vehicles enter until the last frame."""
    speed_limit = rng.uniform(SLOWEST, FASTEST)
    total = frames + WARM_UP
    queue = 2 * REACH + total * STEP * FASTEST
    count = int(np.ceil(queue / (GAPS[0] + min(kind.length for kind in KINDS))))
    kind = [KINDS[i] for i in rng.choice(len(KINDS), count, p=[k.share for k in KINDS])]
    length = np.array([k.length for k in kind])
    gap = rng.uniform(*GAPS, count)
    place = REACH + rng.uniform(0, GAPS[1]) - np.cumsum(gap + length)
    wish = speed_limit * rng.uniform(0.85, 1.15, count)
    chance = BRAKE_CHANCE * total / 50
    start = np.where(rng.random(count) < chance, rng.uniform(0, total, count), np.inf)
    stop, slow = start + rng.uniform(8, 20, count), rng.uniform(0.2, 0.5, count)

    speed = np.full(count, 0.9 * speed_limit)
    along, speeds, brakes = [], [], []
    dt = STEP / SUBSTEPS
    for frame in range(total):
        wanted = np.where((frame >= start) & (frame < stop), slow * wish, wish)
        for _ in range(SUBSTEPS):
            push = accelerate(place, speed, wanted, length)
            faster = np.maximum(speed + push * dt, 0)
            place = place + 0.5 * (speed + faster) * dt
            speed = faster
        along.append(place)
        speeds.append(speed)
        brakes.append(push < -0.7)
    travelled = np.stack(along[WARM_UP:])
    near = np.flatnonzero(np.abs(travelled).min(0) < REACH)
    return Flow(
        kind=[kind[i] for i in near],
        lane=np.full(len(near), lane),
        along=travelled[:, near],
        speed=np.stack(speeds[WARM_UP:])[:, near],
        brakes=np.stack(brakes[WARM_UP:])[:, near],
    )


def accelerate(
    place: np.ndarray, speed: np.ndarray, wanted: np.ndarray, length: np.ndarray
) -> np.ndarray:
    """The Intelligent Driver Model's acceleration [n] in m/s^2; vehicle i follows i - 1."""
    ahead = np.full(len(place), 1e3)
    ahead[1:] = place[:-1] - place[1:] - 0.5 * (length[:-1] + length[1:])
    closing = np.zeros(len(place))
    closing[1:] = speed[1:] - speed[:-1]
    desired = STANDSTILL + np.maximum(
        0, speed * HEADWAY + speed * closing / (2 * np.sqrt(ACCELERATION * BRAKING))
    )
    free = (speed / wanted) ** 4
    push = ACCELERATION * (1 - free - (desired / np.maximum(ahead, 0.3)) ** 2)
    return np.clip(push, -7, ACCELERATION)


def draw(flow: Flow, colours: list[np.ndarray], size: int) -> Video:
    """The vehicles as the camera sees them."""
    camera = Camera(size)
    background, front = paint_background(size), paint_front(size)
    side = np.array([LANES[lane].y for lane in flow.lane])
    heading = np.array([LANES[lane].heading for lane in flow.lane])
    ground = np.zeros((*flow.along.shape, 3))
    ground[..., 0] = flow.along * heading
    ground[..., 1] = side
    middle = ground + np.array([0, 0, 0.7])
    # Neither lanes nor their queues change places, so one order serves for all frames.
    order = np.argsort(camera.depth(ground).mean(0))

    def compose(part: slice) -> Layers:
        layers = Layers(background, len(ground[part]), len(flow.kind), size // 2, front)
        for i in order.tolist():
            draw_vehicle(
                layers,
                camera,
                i,
                flow.kind[i],
                colours[i],
                ground[part, i],
                int(heading[i]),
                flow.brakes[part, i],
            )
        return layers

    frames, truth = render(camera.project(middle), compose)
    return Video("traffic", frames, truth=truth)
