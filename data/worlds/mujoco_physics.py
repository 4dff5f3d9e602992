"""The clevrer world's motion by MuJoCo: contacts of true cubes, spheres and cylinders, not discs.

Bodies slide in the plane and turn about the vertical, since that is how the ray-caster draws them.
Units are those of the plain physics: the scene's lengths, frames.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from data.errors import UserError
from data.worlds.clevrer import GRIP, SLIDING, SPINNING, Discs

SUBSTEPS = 200
# A contact is a spring of this frequency, in radians a frame: stiff enough that bodies sink into
# one another by less than 0.01, soft enough for the time step.
SPRING = 30.0
# MuJoCo's impedance. Near 1 it makes bodies part at a given speed whatever friction does meanwhile,
# and an off-centre hit can gain energy; near 0 a contact is a plain force, which cannot.
IMPEDANCE = 0.01
BELOW = 100.0  # bodies that have not entered yet wait this far under the plane
INERTIA = {"cube": 2 / 3, "sphere": 2 / 5, "cylinder": 1 / 2}  # about the vertical, of m r^2
# A cylinder's side is a capsule's. MuJoCo meets capsules exactly, but gives its cylinders contacts
# at the rim whose normals miss the axis, which feeds energy into a spin (seen in 3.17 and 4.0).
SHAPES = {
    "cube": 'type="box" size="{radius} {radius} {half}"',
    "sphere": 'type="sphere" size="{radius}"',
    "cylinder": 'type="capsule" size="{radius} {half}"',
}


def load() -> ModuleType:
    """The package mujoco, which takes a moment to import and need not be there.

    Raises:
        UserError: it cannot be imported.
    """
    try:
        import mujoco
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"physics mujoco is not installed: {reason}: pip install 'particlecast[mujoco]'"
        ) from error
    return mujoco


def move(discs: Discs, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Places [t, n, 2] and yaws [t, n] at each frame, like clevrer.move.

    Raises:
        UserError: mujoco is not installed.
    """
    mujoco = load()
    count, dt = len(discs.place), 1 / SUBSTEPS
    model = mujoco.MjModel.from_xml_string(scene(discs))
    # MuJoCo scales contacts by the mean of three axes, of which ours have two.
    model.body_invweight0[1:, 0] = 1 / discs.mass
    data = mujoco.MjData(model)
    # Views of the state: x, y and yaw of each body, and their rates.
    pose, rate = data.qpos.reshape(count, 3), data.qvel.reshape(count, 3)
    height = model.body_pos[1:, 2]  # body 0 is the world
    pose[:] = np.column_stack([discs.place, discs.yaw])
    height -= BELOW
    there = np.zeros(count, bool)
    poses = [pose.copy()]
    for step in range((frames - 1) * SUBSTEPS):
        for i in np.flatnonzero(~there & (discs.entry <= step * dt)).tolist():
            if is_free(i, there, pose, discs.reach):
                there[i] = True
                height[i] += BELOW
                rate[i] = *discs.velocity[i], discs.spin[i]
        rub(rate, dt)
        mujoco.mj_step(model, data)
        if (step + 1) % SUBSTEPS == 0:
            poses.append(pose.copy())
    record = np.stack(poses)
    return record[..., :2], record[..., 2]


def is_free(i: int, there: np.ndarray, pose: np.ndarray, reach: np.ndarray) -> bool:
    """Whether body i can enter without being inside another, which would fling both away."""
    gap = np.linalg.norm(pose[there, :2] - pose[i, :2], axis=1) - reach[there] - reach[i]
    return bool((gap > 0).all())


def rub(rate: np.ndarray, dt: float) -> None:
    """Slow bodies by the floor's friction, in place, against the way that each moves.

    Args:
        rate: [n, 3], the rates of x, y and yaw.
    """
    speed = np.maximum(np.linalg.norm(rate[:, :2], axis=1, keepdims=True), 1e-9)
    rate[:, :2] *= np.maximum(1 - SLIDING * dt / speed, 0)
    rate[:, 2] *= np.maximum(1 - SPINNING * dt / np.maximum(np.abs(rate[:, 2]), 1e-9), 0)


def scene(discs: Discs) -> str:
    """The bodies and each pair's contact as a model in MuJoCo's XML.

    Round bodies bounce as their material says; a flat face touches at several points, whose
    dampings add up, and bounces somewhat less.
    """
    bodies = ""
    for i, body in enumerate(discs.bodies):
        shape = SHAPES[body.kind].format(radius=body.radius, half=body.height / 2)
        turn = INERTIA[body.kind] * discs.mass[i] * body.radius**2
        bodies += (
            f'<body pos="0 0 {body.height / 2}">'
            '<joint type="slide" axis="1 0 0"/><joint type="slide" axis="0 1 0"/>'
            '<joint type="hinge" axis="0 0 1"/>'
            f'<inertial pos="0 0 0" mass="{discs.mass[i]}" diaginertia="{turn} {turn} {turn}"/>'
            f'<geom name="{i}" contype="0" conaffinity="0" {shape}/></body>'
        )
    # Pairs, not geoms, hold the contacts' settings: MuJoCo would not mix two bounces as we do.
    pairs = "".join(
        f'<pair geom1="{i}" geom2="{j}" condim="3" friction="{GRIP} {GRIP}" '
        f'solref="{spring(float(np.sqrt(discs.bounce[i] * discs.bounce[j])))}" '
        # Friction, within its cone, takes about half of the slip at each step.
        f'solimp="{IMPEDANCE} {IMPEDANCE}" solreffriction="-1 {-IMPEDANCE * SUBSTEPS}"/>'
        for i, j in np.stack(np.triu_indices(len(discs.bodies), 1), -1).tolist()
    )
    return (
        f'<mujoco><option timestep="{1 / SUBSTEPS}" gravity="0 0 0" cone="elliptic" '
        f'impratio="{1 / IMPEDANCE}"/>'
        f"<worldbody>{bodies}</worldbody><contact>{pairs}</contact></mujoco>"
    )


def spring(bounce: float) -> str:
    """Stiffness and damping of a contact, negative as MuJoCo wants them, for a restitution.

    Half a swing of an oscillator of damping ratio z keeps exp(-pi z / sqrt(1 - z^2)) of the speed.
    """
    swing = -np.log(bounce)
    ratio = swing / np.hypot(np.pi, swing)
    return f"{-(SPRING**2)} {-2 * ratio * SPRING}"
