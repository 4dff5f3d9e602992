"""A small ray-caster: bodies of rubber and metal on a lit plane, one camera, one soft light.

All of it is NumPy on windows of a supersampled picture: a body is tested only where it can be
seen, and its shadow only where it can fall. Lengths are in the scene's units; z is up.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from data.worlds.bodies import Body

SUPERSAMPLE = 2
MARGIN = 0.3  # of the picture's side: bodies are traced beyond its edge, for their whole area
TARGET = np.array([0.0, 0.15, 0.0])
DISTANCE, PITCH, VIEW = 13.0, np.radians(33), 5.5  # VIEW: units across the picture at the target
LAMP, LAMP_RADIUS = np.array([-4.2, -2.4, 6.5]), 0.9
RIM = np.array([0.70, 0.45, 0.55])  # direction of a weak second light
KEY_POWER, RIM_POWER, AMBIENT = 0.78, 0.20, 0.30
FLOOR = np.array([0.50, 0.50, 0.51])
GAMMA = 2.2
NEAR = 1e-3

Window = tuple[slice, slice]


def blur(fine: np.ndarray) -> np.ndarray:
    """[h, w] averaged over 4 x 4 neighbours, which hold every point of the lamp once."""
    for axis in (0, 1):
        padded = np.pad(fine, [(2, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        count = fine.shape[axis]
        shifted = [padded.take(range(i, i + count), axis) for i in range(4)]
        fine = np.add(shifted[0] + shifted[1], shifted[2] + shifted[3]) * np.float32(0.25)
    return fine


@lru_cache(maxsize=4)
def scene(size: int) -> Scene:
    """The empty scene for pictures of `size` x `size` pixels."""
    return Scene(size)


class Scene:
    """The camera, the plane and the lights; what they need that does not move is kept."""

    def __init__(self, size: int):
        self.size = size
        self.margin = int(np.ceil(MARGIN * size))
        forward = np.array([0, np.cos(PITCH), -np.sin(PITCH)])
        right = np.array([1.0, 0, 0])
        self.axes = np.stack([right, np.cross(forward, right), forward])
        self.eye = (TARGET - DISTANCE * forward).astype(np.float32)
        self.focal = DISTANCE / VIEW * size
        fine = SUPERSAMPLE * (size + 2 * self.margin)
        axis = ((np.arange(fine) + 0.5) / SUPERSAMPLE - self.margin - size / 2) / self.focal
        x, y = np.meshgrid(axis, axis)
        rays = self.axes.T @ np.stack([x, y, np.ones_like(x)]).reshape(3, -1)
        rays /= np.linalg.norm(rays, axis=0)
        self.rays = rays.reshape(3, fine, fine).astype(np.float32)
        edge = SUPERSAMPLE * self.margin
        self.picture = (slice(edge, fine - edge),) * 2
        self.floor = self.eye[:, None, None] - self.rays * (self.eye[2] / self.rays[2])
        # Sixteen points of the lamp, dealt out over the subpixels of 2 x 2 pixels: together
        # they make a soft shadow for the price of a hard one.
        turn = (np.arange(16) * 7 % 16).reshape(4, 4)
        angle, far = turn * 2.39996, LAMP_RADIUS * np.sqrt((turn + 0.5) / 16)
        spread = np.stack([far * np.cos(angle), far * np.sin(angle), 0 * far])
        repeat = -(-fine // 4)
        lamp = LAMP[:, None, None] + np.tile(spread, (1, repeat, repeat))[:, :fine, :fine]
        self.lamp = lamp.astype(np.float32)
        self.to_lamp = self.lamp - self.floor
        self.plain = self.light_floor(self.floor)

    def light_floor(self, points: np.ndarray) -> np.ndarray:
        """The plane's colour without shadows: ambient [3, ...] and what the lamp adds, stacked."""
        x, y = points[0], points[1]
        pool = 0.55 + 0.45 * np.exp(-((x + 0.8) ** 2 + (y + 0.3) ** 2) / 22)
        colour = FLOOR.astype(np.float32).reshape(3, *[1] * x.ndim) * pool.astype(np.float32)
        return np.stack([0.46 * colour, 0.66 * colour]).astype(np.float32)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] to pixels [..., 2]."""
        seen = (points - self.eye) @ self.axes.T
        return seen[..., :2] / seen[..., 2:] * self.focal + (self.size - 1) / 2

    def window(self, points: np.ndarray) -> Window:
        """The supersampled rows and columns that hold the projections of points [m, 3]."""
        pixels = self.project(points)
        low = np.floor((pixels.min(0) - 0.5 + self.margin) * SUPERSAMPLE).astype(int)
        high = np.ceil((pixels.max(0) + 1.5 + self.margin) * SUPERSAMPLE).astype(int)
        low, high = (np.clip(end, 0, self.rays.shape[1]) for end in (low, high))
        return slice(low[1], high[1]), slice(low[0], high[0])

    def trace(self, bodies: list[Body]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One picture.

        Returns:
            [h, w, 3] in [0, 1] as a screen shows it; shares [n, h, w] of each pixel that show
            each body; the whole area [n] of each body in pixels, hidden parts and all.
        """
        shape = self.rays.shape[1:]
        depth, owner = np.full(shape, np.inf, np.float32), np.zeros(shape, np.uint8)
        area, windows = np.zeros(len(bodies)), []
        eye = self.eye[:, None, None]
        for number, body in enumerate(bodies, 1):
            window = self.window(body.corners)
            windows.append(window)
            entry, leave = body.span(eye, self.rays[:, *window])
            hit = (entry < leave) & (entry > 0)
            area[number - 1] = hit.sum() / SUPERSAMPLE**2
            closer = hit & (entry < depth[window])
            depth[window][closer] = entry[closer]
            owner[window][closer] = number

        image = self.shade_floor(bodies)
        for number, body in enumerate(bodies, 1):
            window = windows[number - 1]
            own = owner[window] == number
            if own.any():
                away = depth[window][own]
                ray = self.rays[:, *window][:, own]
                lamp = self.lamp[:, *window][:, own]
                others = [other for other in bodies if other is not body]
                shade = self.shade_body(body, others, self.eye[:, None] + ray * away, ray, lamp)
                image[:, *window][:, own] = shade
        inside = self.average(image[:, *self.picture])
        numbers = np.arange(1, len(bodies) + 1, dtype=np.uint8)[:, None, None]
        shares = self.average((owner[self.picture] == numbers).astype(np.float32))
        return np.moveaxis(np.clip(inside, 0, 1) ** (1 / GAMMA), 0, -1), shares, area

    def average(self, fine: np.ndarray) -> np.ndarray:
        """Mean over the 2 x 2 subpixels: [c, h * s, w * s] to [c, h, w]."""
        rows = fine[:, ::2] + fine[:, 1::2]
        return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)

    def shade_floor(self, bodies: list[Body]) -> np.ndarray:
        """The plane [3, h * s, w * s] with the bodies' shadows on it."""
        lit = np.ones(self.rays.shape[1:], np.float32)
        open_sky = np.ones_like(lit)
        for body in bodies:
            # Where the lamp's extreme points throw the body's corners onto the plane.
            offsets = np.array([[x, y, 0] for x in (-1, 1) for y in (-1, 1)]) * LAMP_RADIUS
            corners, lamp = body.corners[:, None], LAMP + offsets
            share = corners[..., 2:] / (lamp[..., 2:] - corners[..., 2:])
            thrown = (corners + share * (corners - lamp)).reshape(-1, 3)
            window = self.window(thrown)
            entry, leave = body.span(self.floor[:, *window], self.to_lamp[:, *window])
            lit[window][(entry < leave) & (leave > NEAR)] = 0
            reach = 2.2 * body.radius
            ring = body.place + reach * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
            window = self.window(np.c_[ring, np.zeros(4)])
            x, y = self.floor[0][window] - body.place[0], self.floor[1][window] - body.place[1]
            open_sky[window] *= self.occlusion(body, x.astype(np.float32), y.astype(np.float32))
        lit = blur(lit)
        return open_sky * self.plain[0] + (lit * (0.4 + 0.6 * open_sky)) * self.plain[1]

    @staticmethod
    def occlusion(body: Body, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """How much of the sky the plane sees at an offset from a body, about, in [0, 1]."""
        away = (x * x + y * y) / np.float32(body.radius**2)
        return 1 - 0.55 * np.clip(1 - away / 4.8, 0, 1) ** 2

    def shade_body(
        self,
        body: Body,
        others: list[Body],
        points: np.ndarray,
        ray: np.ndarray,
        lamp: np.ndarray,
    ) -> np.ndarray:
        """Linear colour [3, m] of a body's visible points [3, m]."""
        normal = body.normal(points).astype(np.float32)
        to_lamp = lamp - points
        lit = np.ones(points.shape[1], np.float32)
        for other in others:
            if np.linalg.norm(other.place - body.place) < 3 * (other.radius + body.radius):
                entry, leave = other.span(points, to_lamp)
                lit[(entry < leave) & (leave > NEAR)] = 0
        to_lamp = to_lamp / np.sqrt((to_lamp**2).sum(0))
        mirror = ray - 2 * (ray * normal).sum(0) * normal
        glint = np.clip((mirror * to_lamp).sum(0), 0, 1)
        key = lit * np.clip((normal * to_lamp).sum(0), 0, 1)
        rim = np.clip(RIM.astype(np.float32) @ normal, 0, 1)
        # The plane throws light back on what faces down.
        ground = 0.5 + 0.5 * normal[2] * np.clip(0.4 + points[2] / body.height, 0, 1)
        light = AMBIENT * (0.45 + 0.75 * ground) + KEY_POWER * key + RIM_POWER * rim
        colour = body.colour.astype(np.float32)[:, None]
        if not body.metal:
            return colour * light + np.float32(0.10) * lit * glint**10
        facing = np.clip(-(ray * normal).sum(0), 0, 1)
        gloss = 0.55 + 0.45 * (1 - facing) ** 4
        tint = 0.10 + 1.1 * colour
        seen = self.reflect(body, others, points + NEAR * normal, mirror)
        return 0.40 * colour * light + gloss * tint * seen + 0.9 * lit * glint**40

    def reflect(
        self, body: Body, others: list[Body], points: np.ndarray, ray: np.ndarray
    ) -> np.ndarray:
        """What rays [3, m] mirrored by a body see: other bodies, the plane, a bright sky."""
        up = np.clip(ray[2], 0, 1)
        soft_box = np.clip((LAMP.astype(np.float32) / np.linalg.norm(LAMP)) @ ray, 0, 1) ** 6
        seen = np.broadcast_to(0.10 + 0.42 * up + 0.55 * soft_box, ray.shape).astype(np.float32)
        down = ray[2] < -1e-3
        nearest = np.where(down, -points[2] / np.where(down, ray[2], -1), np.inf)
        nearest = nearest.astype(np.float32)
        floor = points[:, down] + ray[:, down] * nearest[down]
        # Far off, the plane ends in the backdrop.
        fade = np.exp(-(floor[0] ** 2 + floor[1] ** 2) / 60)
        sky = np.ones(floor.shape[1], np.float32)
        for other in [body, *others]:
            sky *= self.occlusion(other, floor[0] - other.place[0], floor[1] - other.place[1])
        seen[:, down] = self.light_floor(floor).sum(0) * sky * fade + 0.12 * (1 - fade)
        for other in others:
            entry, leave = other.span(points, ray)
            hit = (entry < leave) & (entry > NEAR) & (entry < nearest)
            if hit.any():
                nearest[hit] = entry[hit]
                normal = other.normal(points[:, hit] + ray[:, hit] * entry[hit])
                key = np.clip((LAMP / np.linalg.norm(LAMP)) @ normal, 0, 1)
                seen[:, hit] = other.colour[:, None] * (0.9 * AMBIENT + KEY_POWER * key)
        return seen
