import re
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from data.frames import FrameConfig
from dlp.config import DLPConfig
from pipelines.boards import Board
from pipelines.health import ALIVE, DEAD, EMPTY, NO_GAIN, PAINTED, PILED, STUCK, check, diagnose

STEPS, SIDE, RADIUS = 20, 64, 5
GROUND = np.full((SIDE, SIDE, 3), 60, np.uint8)


def healthy(k: int = 5, moving: bool = True) -> dict[str, Any]:
    """Two discs on their ways, two particles on them, the others dead."""
    steps = np.arange(STEPS)[:, None] * np.array([[2.0, 0.5]]) * moving
    position = np.stack([np.add([10, 12], steps), [50, 50] - steps], 1)  # (t, 2, 2)
    y, x = np.mgrid[:SIDE, :SIDE]
    frames, masks = [], []
    for places in position:
        frame, mask = GROUND.copy(), np.zeros((SIDE, SIDE), bool)
        for place in places:
            inside = np.hypot(x - place[0], y - place[1]) <= RADIUS
            frame[inside], mask = (230, 200, 40), mask | inside
        frames.append(frame)
        masks.append(mask.mean())
    spare = np.full((STEPS, k - 2, 2), 32.0)
    transparency = np.zeros((STEPS, k))
    transparency[:, :2] = 0.9
    return {
        "position": np.concatenate([position, spare], 1),
        "transparency": transparency,
        "covered": np.array(masks),
        "frames": np.stack(frames),
        "reconstruction": np.stack(frames),
        "background": GROUND if moving else frames[0],
    }


def test_a_healthy_model_is_told_nothing():
    assert diagnose(**healthy()) == []


def test_nothing_is_told_where_nothing_moves():
    seen = healthy(moving=False)
    seen["transparency"][:] = 0
    assert diagnose(**seen) == []


def test_camera_noise_is_no_movement():
    seen = healthy(moving=False)
    noise = np.random.default_rng(0).normal(0, 5, seen["frames"].shape)
    seen["frames"] = (seen["frames"] + noise).clip(0, 255).astype(np.uint8)
    seen["transparency"][:] = 0
    assert diagnose(**seen) == []


def test_death_is_told_alone_and_during_the_warm_up_too():
    seen = healthy()
    seen["transparency"][:] = 0.2
    seen["covered"][:] = 0
    seen["reconstruction"] = np.broadcast_to(GROUND, seen["frames"].shape)
    assert diagnose(**seen) == [DEAD]
    assert diagnose(**seen, warming=True) == [DEAD]


def test_every_slot_in_use_is_told_after_the_warm_up():
    seen = healthy(k=2)
    assert diagnose(**seen) == [ALIVE]
    assert diagnose(**seen, warming=True) == []


def test_two_particles_on_every_thing_are_told():
    seen = healthy()
    seen["position"][:, 2:4] = seen["position"][:, :2] + [1.0, 1.0]
    seen["transparency"][:, 2:4] = 0.9
    assert diagnose(**seen) == [PILED]


def test_things_that_pass_each_other_are_not_piled():
    seen = healthy()
    seen["position"][8:12, 1] = seen["position"][8:12, 0] + [2.0, 0.0]
    assert diagnose(**seen) == []


def test_one_particle_on_one_spot_while_things_move_elsewhere_is_told():
    seen = healthy()
    seen["position"][:, 0] = [60.0, 4.0]
    seen["transparency"][:, 1] = 0
    assert diagnose(**seen) == [STUCK]


def test_a_thing_at_rest_is_not_stuck():
    seen = healthy()
    seen["position"][:, 0] = [60.0, 4.0]  # as if one thing stood there
    assert diagnose(**seen) == []


def test_particles_that_draw_nothing_are_told():
    seen = healthy()
    seen["covered"] = seen["covered"] * 0.02
    seen["reconstruction"] = np.broadcast_to(GROUND, seen["frames"].shape)
    assert diagnose(**seen) == [EMPTY]


def test_a_background_that_holds_the_things_is_told():
    seen = healthy()
    passed = (seen["frames"] != GROUND).any((0, 3))
    painted = GROUND.copy()
    painted[passed] = (145, 130, 50)  # half of their colour
    assert diagnose(**seen | {"background": painted}) == [PAINTED]


def test_another_light_is_not_a_painted_background():
    seen = healthy()
    assert diagnose(**seen | {"background": GROUND + 30}) == []


def test_a_drawing_no_better_than_the_background_is_told():
    seen = healthy()
    wrong = np.broadcast_to(GROUND, seen["frames"].shape).copy()
    wrong[:, 30:34, 30:34] = 255
    assert diagnose(**seen | {"reconstruction": wrong}) == [NO_GAIN]


def test_each_sentence_is_said_once_and_shown(tmp_path, capsys: pytest.CaptureFixture[str]):
    board, said = Board(tmp_path), set[str]()
    assert check([[ALIVE], [ALIVE, PILED], []], said, board, 10) == [ALIVE]
    assert check([[ALIVE], [PILED], [PILED]], said, board, 20) == [PILED]
    board.close()
    assert capsys.readouterr().err.splitlines() == [ALIVE, PILED]
    events = EventAccumulator(str(tmp_path)).Reload().Tensors("stage1/health/text_summary")
    assert [(event.step, event.tensor_proto.string_val[0].decode()) for event in events] == [
        (10, ALIVE),
        (20, PILED),
    ]


def test_every_sentence_names_options_that_there_are():
    sentences = [DEAD, ALIVE, PILED, STUCK, EMPTY, PAINTED, NO_GAIN]
    known = {f"dlp.{field.name}" for field in fields(DLPConfig)} | {"seed"}
    known |= {f"frames.{field.name}" for field in fields(FrameConfig)}
    for sentence in sentences:
        named = re.findall(r"--([\w.]*\w)", sentence)
        assert set(named) <= known, sentence
        assert ": " in sentence
