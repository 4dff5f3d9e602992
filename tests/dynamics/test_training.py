from dataclasses import fields, replace

import torch

from dynamics.config import DynamicsConfig
from dynamics.losses import unrolled_loss
from dynamics.model import GraphDynamics
from dynamics.rollout import unroll
from dynamics.statistics import statistics
from dynamics.tracks import context_state, track
from dynamics.windows import (
    gather,
    window_starts,
    with_noise,
    with_other_looks,
)
from tests.dynamics.made import coasting, particles, state

SIDE = torch.tensor([32.0, 32.0])


def test_windows_hold_what_the_tracks_hold() -> None:
    tracks = [coasting(12, [(0.02, 0.0), (0.0, -0.03)]), coasting(9, [(0.01, 0.01)])]
    starts = window_starts(tracks, history=4, horizon=3)
    assert len(starts) == 6 + 3
    window = gather(tracks, starts[[1, 7]], history=4, horizon=3, rows=3)
    assert torch.equal(window.state.position[0, :, :2], tracks[0].position[1:5])
    assert torch.equal(window.position[0, :, :2], tracks[0].position[5:8])
    assert torch.equal(window.position[1, :, :1], tracks[1].position[5:8])
    assert window.state.alive.tolist() == [[True, True, False], [True, False, False]]
    assert window.mask.sum() == 3 * 2 + 3
    assert torch.equal(window.state.code[0, :2], tracks[0].code[0])


def test_what_comes_into_view_after_the_history_is_no_row() -> None:
    tracks = coasting(8, [(0.02, 0.0), (0.0, -0.03)])
    tracks.seen[:5, 1] = False
    window = gather([tracks], torch.tensor([[0, 0]]), history=4, horizon=3, rows=2)
    assert window.state.alive.tolist() == [[True, False]]
    assert window.mask[..., 1].sum() == 0


def test_statistics_of_known_tracks() -> None:
    torch.manual_seed(0)
    tracks = coasting(400, [(0.03, 0.04)] * 20)  # 1.6 pixels a frame
    noisy = tracks.position + 0.1 / 32 * torch.randn_like(tracks.position)
    tracks = replace(tracks, position=noisy)
    found = statistics([tracks], SIDE)
    assert abs(found.speed - 1.6) < 0.02
    assert abs(found.jitter - 0.1) < 0.005
    assert torch.allclose(found.code_mean, torch.full((6,), 9.5), atol=1e-3)


def test_noise_has_the_size_asked_for() -> None:
    given = state(b=64, h=8, n=8)
    moved = (with_noise(given, torch.tensor(0.5), SIDE).position - given.position) * SIDE
    assert abs(float(moved.std()) - 0.5) < 0.02


def test_looks_are_shifted_alike_all_through_a_window() -> None:
    torch.manual_seed(0)
    tracks = coasting(12, [(0.02, 0.0)] * 400)
    given = gather([tracks], torch.tensor([[0, 0], [0, 3]]), history=4, horizon=3, rows=400)
    other = with_other_looks(given, torch.tensor([0.1, 1.0, 0.0]))
    shift = other.state.code - given.state.code
    assert torch.allclose(shift.std((0, 1)), torch.tensor([0.1, 1.0, 0, 0, 0, 0]), atol=0.06)
    assert torch.allclose(other.code - given.code, shift[:, None].expand_as(given.code), atol=1e-4)
    assert torch.equal(other.state.position, given.state.position)
    assert torch.equal(other.position, given.position)


def test_a_particle_looks_as_when_it_was_last_seen() -> None:
    tracks = coasting(8, [(0.02, 0.0), (0.0, -0.03)])
    tracks.seen[3, 1] = False
    shown = torch.where(tracks.seen[..., None], torch.arange(8.0)[:, None, None], torch.tensor(2.0))
    tracks = replace(tracks, code=shown.expand_as(tracks.code))
    window = gather([tracks], torch.tensor([[0, 0]]), history=4, horizon=3, rows=2)
    assert window.state.code[0, :, 0].tolist() == [3.0, 2.0]
    context = replace(tracks, **{f.name: getattr(tracks, f.name)[:4] for f in fields(tracks)})
    known = context_state(context, [0, 1], history=4, rows=2)
    assert known.code[0, :, 0].tolist() == [3.0, 2.0]


def test_what_will_have_left_looks_as_when_it_was_last_seen() -> None:
    tracks = coasting(8, [(0.02, 0.0), (0.0, -0.03)])
    tracks.seen[3:, 1] = False
    tracks.left[3:, 1] = True
    tracks.code[3:, 1, -1] = -6.0  # as `track` has it
    window = gather([tracks], torch.tensor([[0, 0]]), history=4, horizon=3, rows=2)
    context = replace(tracks, **{f.name: getattr(tracks, f.name)[:4] for f in fields(tracks)})
    known = context_state(context, [0, 1], history=4, rows=2)
    for one in (window.state, known):
        assert one.code[0, 1].tolist() == tracks.code[2, 1].tolist()
    assert (window.code[0, :, 1, -1] == -6).all()


def test_what_is_foreseen_counts_as_seen() -> None:
    given = state(h=4)
    given.seen[:, -2:] = 0
    last = list(unroll(GraphDynamics(DynamicsConfig(history=4, hidden=16), 3, (64, 64)), given, 3))
    assert last[-1].seen[0, :, 0].tolist() == [0.0, 1.0, 1.0, 1.0]


def test_the_loss_of_a_perfect_forecast_is_its_floor_and_unseen_targets_do_not_count() -> None:
    tracks = coasting(12, [(0.02, 0.0), (0.0, -0.03)])
    window = gather([tracks], torch.tensor([[0, 0]]), history=4, horizon=3, rows=2)
    model = GraphDynamics(DynamicsConfig(history=4, hidden=16), 3, (64, 64))
    last = model.head[-1]
    assert isinstance(last, torch.nn.Linear)
    torch.nn.init.zeros_(last.weight)  # it coasts exactly
    terms = unrolled_loss(model, window, 3).loss.terms
    assert abs(float(terms["position"]) - 0.1**0.5) < 1e-3
    assert float(terms["first_step_pixels"]) < 1e-3
    window.position[0, :, 1] += 0.5
    assert float(unrolled_loss(model, window, 3).loss.terms["position"]) > 1
    window.mask[0, :, 1] = 0
    assert abs(float(unrolled_loss(model, window, 3).loss.terms["position"]) - 0.1**0.5) < 1e-3


def test_it_learns_to_bounce_off_a_wall() -> None:
    """One particle between two walls: coasting is 5 pixels wrong, the trained model below 1."""
    torch.manual_seed(0)
    t = torch.arange(60.0)

    def bouncing(phase: float, speed: float) -> torch.Tensor:
        saw = (phase + t * speed) % 3.2
        return torch.where(saw < 1.6, saw, 3.2 - saw) - 0.8

    tracks = []
    for i in range(24):
        one = coasting(60, [(0.0, 0.0)])
        x = bouncing(i * 0.37, 0.06 + 0.002 * (i % 8))
        tracks.append(replace(one, position=torch.stack([x, x * 0], -1)[:, None]))
    config = DynamicsConfig(history=4, hidden=32, horizon=6)
    model = GraphDynamics(config, 3, (64, 64))
    model.fit_normalisation(statistics(tracks, SIDE))
    starts = window_starts(tracks, 4, 6)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(350):
        window = gather(tracks, starts[torch.randint(len(starts), (32,))], 4, 6, 1)
        loss = unrolled_loss(model, window, 1 + 5 * (step > 60)).loss
        optimizer.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    window = gather(tracks, starts, 4, 6, 1)
    with torch.no_grad():
        error = unrolled_loss(model, window, 6).loss.terms["position"]
    assert float(error) < 0.7


def test_what_leaves_is_followed_out_of_the_frame_and_is_to_fade() -> None:
    position = torch.zeros(20, 2, 2)
    position[:, 0, 0] = 0.5 + torch.arange(20) * 0.06  # crosses the border after frame 8
    position[:, 1, 0] = -0.5 + torch.arange(20) * 0.01  # is only hidden from frame 9 on
    alive = torch.ones(20, 2)
    alive[9:] = 0
    tracks = track(particles(position, alive), (64, 64))
    assert tracks.left[:, 0].tolist() == [False] * 9 + [True] * 11
    assert not tracks.left[:, 1].any()
    assert (tracks.code[9:, 0, -1] < -5).all()
    assert (tracks.code[9:, 1, -1] > 5).all()
    window = gather([tracks], torch.tensor([[0, 0]]), history=4, horizon=10, rows=2)
    assert window.left[0].sum(0).tolist() == [5, 0]
    assert window.mask[0, 5:].sum() == 0
    assert torch.allclose(window.position[0, :, 0], position[4:14, 0], atol=1e-5)


def test_a_history_knows_nothing_of_what_came_after_it() -> None:
    tracks = coasting(12, [(0.05, 0.0), (0.0, 0.02)])
    tracks.seen[:5, 0] = False  # comes into view in frame 5
    first, second = (
        gather([tracks], torch.tensor([[start, 0]])[:, [1, 0]], 4, 3, 2).state.position[0]
        for start in (2, 3)
    )
    row = 1  # seen less often than the other
    assert torch.equal(first[:, row], tracks.position[5, 0].expand(4, 2))  # one sighting: at rest
    assert torch.allclose(second[:, row], tracks.position[3:7, 0], atol=1e-6)  # two: on its way
    other = replace(tracks, position=tracks.position.clone())
    other.position[6:] += 0.3  # another future
    changed = gather([other], torch.tensor([[0, 2]]), 4, 3, 2)
    assert torch.equal(changed.state.position[0], first)


def test_a_world_is_closed_if_nothing_leaves_it() -> None:
    still = coasting(12, [(0.02, 0.0), (0.0, -0.03)])
    found = statistics([still], SIDE).bounds
    inner = still.position[1:-1]  # the extremes but for each path's ends
    assert torch.equal(found[0], inner.amin((0, 1)))
    assert torch.equal(found[1], inner.amax((0, 1)))
    gone = replace(still, left=still.seen & (torch.arange(12) > 9)[:, None])
    assert statistics([still, gone], SIDE).bounds.isinf().all()


def test_broken_sightings_neither_move_a_wall_nor_close_a_world() -> None:
    good = coasting(12, [(0.02, 0.0), (0.0, -0.03)])
    wall = statistics([good], SIDE).bounds
    broken = good.position.clone()
    broken[6, 0] = 0.95
    assert torch.equal(statistics([replace(good, position=broken)], SIDE).bounds, wall)
    blips = coasting(12, [(0.0, 0.0)] * 1000)
    blips.seen[2:] = False  # in two frames of each
    gone = replace(good, left=good.seen & (torch.arange(12) > 9)[:, None])
    assert statistics([good, blips, gone], SIDE).bounds.isinf().all()
