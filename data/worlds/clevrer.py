"""A CLEVRER-like world: cubes, spheres and cylinders slide in, collide and hide one another.

Plain motion is that of discs in the plane: impulses with restitution and friction between two of
them, sliding friction on the floor, and spin; see mujoco_physics for that of the true shapes.
Lengths are in the scene's units, time in frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data.videos import Video
from data.worlds.bodies import Body
from data.worlds.drawing import make_truth, to_uint8
from data.worlds.raycast import GAMMA, scene

# CLEVRER's eight colours, as a screen shows them.
COLOURS = (
    np.array(
        [
            [87, 87, 87], [173, 35, 35], [42, 75, 215], [29, 105, 20],
            [129, 74, 25], [129, 38, 192], [41, 208, 208], [255, 238, 51],
        ]
    )
    / 255
)  # fmt: skip
RADII = {"cube": 0.30, "sphere": 0.38, "cylinder": 0.34}
STAGE = 1.9  # resting bodies lie within this distance of the middle
OUTSIDE = 4.6  # bodies come from this far away, out of sight
SLOWEST, FASTEST = 0.14, 0.22  # on entering, units a frame
SLIDING, SPINNING = 0.0022, 0.003  # friction on the floor: units and radians a frame^2
GRIP = 0.25  # friction between two bodies
RESTITUTION = {True: 0.9, False: 0.6}  # of metal, of rubber
MASS = {True: 1.6, False: 1.0}  # metal is heavier
SUBSTEPS = 10


@dataclass
class Discs:
    """The bodies as discs in the plane; n of them.

    Args:
        bodies: what they look like; their own places are not used.
        place, velocity: [n, 2]; yaw, spin: [n]; reach, mass, bounce: [n].
        entry: [n] frame at which it starts to move; before that it is not there to be hit.
    """

    bodies: list[Body]
    place: np.ndarray
    velocity: np.ndarray
    yaw: np.ndarray
    spin: np.ndarray
    reach: np.ndarray
    mass: np.ndarray
    bounce: np.ndarray
    entry: np.ndarray


# From a start and a number of frames to the places [t, n, 2] and yaws [t, n] at each.
Physics = Callable[[Discs, int], tuple[np.ndarray, np.ndarray]]


def choose(count: int, rng: np.random.Generator) -> list[Body]:
    """Bodies of distinct looks, as in CLEVRER."""
    looks = rng.permutation(len(COLOURS) * 6)[:count]
    return [
        Body(
            kind=list(RADII)[look % 3],
            radius=list(RADII.values())[look % 3],
            colour=COLOURS[look // 6] ** GAMMA,
            metal=bool(look // 3 % 2),
            place=np.zeros(2),
        )
        for look in looks.tolist()
    ]


def start(bodies: list[Body], frames: int, rng: np.random.Generator) -> Discs:
    """About half of the bodies rest on the stage, the others wait outside, aimed at it."""
    count = len(bodies)
    resting = int(rng.integers(1, count // 2 + 1))
    place, velocity = np.zeros((count, 2)), np.zeros((count, 2))
    reach = np.array([b.radius * (np.sqrt(2) if b.kind == "cube" else 1) for b in bodies])
    for i in range(resting):
        while True:
            place[i] = rng.uniform(-STAGE, STAGE, 2) * [1, 0.8]
            if np.all(np.linalg.norm(place[:i] - place[i], axis=1) > 2 * reach.max()):
                break
    # Each comes from a direction of its own.
    movers = count - resting
    angle = rng.uniform(0, 2 * np.pi) + (np.arange(movers) + rng.uniform(-0.3, 0.3, movers)) * (
        2 * np.pi / movers
    )
    outside = OUTSIDE * np.stack([np.cos(angle), np.sin(angle)], -1)
    aim = place[rng.integers(0, resting, movers)] + rng.uniform(-0.35, 0.35, (movers, 2))
    way = aim - outside
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    place[resting:] = outside
    velocity[resting:] = way * rng.uniform(SLOWEST, FASTEST, (movers, 1))
    entry = np.zeros(count)
    # The first is on its way already, so that something happens from the start.
    entry[resting:] = rng.uniform(0, 0.5 * frames, movers)
    entry[resting] = 0
    place[resting] += way[0] * (OUTSIDE - 3.6)
    return Discs(
        bodies,
        place,
        velocity,
        yaw=rng.uniform(0, 2 * np.pi, count),
        spin=np.where(np.arange(count) < resting, 0, rng.uniform(-0.06, 0.06, count)),
        reach=reach,
        mass=np.array([MASS[b.metal] for b in bodies]),
        bounce=np.array([RESTITUTION[b.metal] for b in bodies]),
        entry=entry,
    )


def move(discs: Discs, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Places [t, n, 2] and yaws [t, n] at each frame."""
    places, yaws = [discs.place.copy()], [discs.yaw.copy()]
    dt = 1 / SUBSTEPS
    pairs = np.stack(np.triu_indices(len(discs.place), 1), -1)
    for step in range((frames - 1) * SUBSTEPS):
        there = discs.entry <= step * dt
        speed = np.linalg.norm(discs.velocity, axis=1, keepdims=True)
        slower = np.maximum(1 - SLIDING * dt / np.maximum(speed, 1e-9), 0)
        discs.velocity *= np.where(there[:, None], slower, 1)
        discs.spin *= np.maximum(1 - SPINNING * dt / np.maximum(np.abs(discs.spin), 1e-9), 0)
        discs.place += np.where(there[:, None], discs.velocity * dt, 0)
        discs.yaw += discs.spin * dt
        apart = discs.place[pairs[:, 0]] - discs.place[pairs[:, 1]]
        touch = (apart**2).sum(-1) < (discs.reach[pairs].sum(-1)) ** 2
        for i, j in pairs[touch & there[pairs].all(-1)]:
            collide(discs, i, j)
        if (step + 1) % SUBSTEPS == 0:
            places.append(discs.place.copy())
            yaws.append(discs.yaw.copy())
    return np.stack(places), np.stack(yaws)


def collide(discs: Discs, i: int, j: int) -> None:
    """Exchange an impulse between two discs that touch, and push them apart."""
    apart = discs.place[i] - discs.place[j]
    gap = np.linalg.norm(apart)
    normal = apart / gap
    tangent = np.array([-normal[1], normal[0]])
    inverse = 1 / discs.mass[i] + 1 / discs.mass[j]
    # Push apart by mass, so that they never stay inside one another.
    overlap = discs.reach[i] + discs.reach[j] - gap
    discs.place[i] += normal * overlap / discs.mass[i] / inverse
    discs.place[j] -= normal * overlap / discs.mass[j] / inverse
    relative = discs.velocity[i] - discs.velocity[j]
    closing = relative @ normal
    if closing >= 0:
        return
    bounce = np.sqrt(discs.bounce[i] * discs.bounce[j])
    push = -(1 + bounce) * closing / inverse
    slip = relative @ tangent - discs.spin[i] * discs.reach[i] - discs.spin[j] * discs.reach[j]
    # Sticking takes a third of the slip's impulse (discs have inertia m r^2 / 2); Coulomb caps it.
    rub = np.clip(-slip / (3 * inverse), -GRIP * push, GRIP * push)
    impulse = push * normal + rub * tangent
    discs.velocity[i] += impulse / discs.mass[i]
    discs.velocity[j] -= impulse / discs.mass[j]
    discs.spin[i] -= 2 * rub / (discs.mass[i] * discs.reach[i])
    discs.spin[j] -= 2 * rub / (discs.mass[j] * discs.reach[j])


def simulate(frames: int, size: int, rng: np.random.Generator, physics: Physics = move) -> Video:
    """3 to 6 bodies for `frames` frames of `size` x `size` pixels, moved by `physics`."""
    count = int(rng.integers(3, 7))
    bodies = choose(count, rng)
    places, yaws = physics(start(bodies, frames, rng), frames)
    return draw(bodies, places, yaws, size)


def draw(bodies: list[Body], places: np.ndarray, yaws: np.ndarray, size: int) -> Video:
    """Trace every frame, and take the truth from what the rays met."""
    view = scene(size)
    t, n = yaws.shape
    frames = np.zeros((t, size, size, 3), np.uint8)
    mask = np.zeros((t, size, size), np.uint8)
    centre, centroid = np.zeros((t, n, 2)), np.zeros((t, n, 2))
    area, seen = np.zeros((t, n)), np.zeros((t, n))
    axis = np.arange(size)
    for time in range(t):
        for body, place, yaw in zip(bodies, places[time], yaws[time], strict=True):
            body.place, body.yaw = place, float(yaw)
        picture, shares, area[time] = view.trace(bodies)
        frames[time] = to_uint8(picture)
        covered = shares.sum(0) >= 0.5
        mask[time] = np.where(covered, shares.argmax(0) + 1, 0)
        seen[time] = shares.sum((1, 2))
        total = np.maximum(seen[time], 1e-6)
        centroid[time, :, 0] = shares.sum(1) @ axis / total
        centroid[time, :, 1] = shares.sum(2) @ axis / total
        centre[time] = view.project(np.stack([body.centre for body in bodies]))
    area[area == 0] = np.nan
    truth = make_truth(centre, area, seen, centroid, mask)
    return Video("clevrer", frames, truth=truth)
