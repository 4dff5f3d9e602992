from dataclasses import replace

import numpy as np
import pytest
import torch

from data.videos import Truth
from dlp.config import DLPConfig
from dlp.decoder import Scene
from dlp.model import DLP
from dlp.particles import Particles, from_pixels, to_pixels
from pipelines import probes

SIZE = (64, 64)


def truth_of(position, visible=None, radius=3.0, mask=None) -> Truth:
    position = np.asarray(position, np.float32)
    shape = position.shape[:2]
    visible = np.ones(shape, bool) if visible is None else np.asarray(visible)
    return Truth(position, visible, np.full(shape, radius, np.float32), mask)


def lines(steps: int, objects: int = 4) -> Truth:
    """Objects in rows of their own that move evenly."""
    start = np.stack([np.full(objects, 10.0), np.linspace(10, 54, objects)], -1)
    way = np.arange(steps)[:, None, None] * np.array([0.01, 0.002])
    return truth_of(start + way)


def test_object_errors_are_of_covered_visible_objects_and_live_particles():
    truth = truth_of([[[10, 10], [30, 10], [50, 10]]], visible=[[True, True, False]])
    position = np.array([[[10, 13], [10, 11], [30, 15], [50, 10]]], float)
    transparency = np.array([[1, 0.1, 1, 1]])
    assert probes.object_errors(position, transparency, truth, 4).tolist() == [3]
    assert probes.object_errors(position, transparency, truth, 6).tolist() == [3, 5]
    assert not len(probes.object_errors(position[:, :0], transparency[:, :0], truth, 6))


def test_a_particle_is_on_the_nearest_visible_object():
    truth = truth_of([[[10, 10], [14, 10]]] * 2, visible=[[True, True], [True, False]])
    position = np.array([[[11, 10], [13, 10], [30, 30]]] * 2, float)
    used = np.ones((2, 3), bool)
    used[1, 0] = False
    assert probes.owners(position, used, truth, 4).tolist() == [[0, 1, -1], [-1, 0, -1]]
    # Within a tolerance of its own for each object.
    wide = np.array([[0.5, 26.0]] * 2)
    assert probes.owners(position, used, truth, wide).tolist() == [[1, 1, 1], [-1, -1, -1]]


def test_identity_counts_swaps_and_breaks():
    # Track 0 keeps to object 0; track 1 goes from 1 to 0; track 2 is lost after one frame.
    owner = np.array([[0, 1, 1], [0, 0, -1], [0, 0, -1]])
    seen = owner >= 0
    visible = np.ones((3, 2), bool)
    kept, unbroken = probes.identity(owner, seen, visible)
    assert kept == pytest.approx(3 / 4)
    assert unbroken == pytest.approx(3 / 5)
    # Where its object is hidden next, a track is not judged.
    visible[1, 1] = False
    assert probes.identity(owner, seen, visible) == (1, 1)


def test_identity_counts_a_particle_that_leaves_its_object():
    owner = np.array([[0], [-1], [0]])
    kept, unbroken = probes.identity(owner, np.ones((3, 1), bool), np.ones((3, 1), bool))
    assert (kept, unbroken) == (0, 0)


def test_steady_leaves_out_edges_touches_and_bounces():
    path = np.tile([[20.0, 10], [20, 30], [24, 30], [2, 50], [50, 50]], (7, 1, 1))
    path[:, 4, 0] += [0, 1, 2, 3, 2, 1, 0]
    fit = probes.steady(truth_of(path), SIZE)
    assert fit.all(0).tolist() == [True, False, False, False, False]
    assert fit[:, 4].tolist() == [True, True, True, False, True, True, True]
    assert not fit[:, 1:4].any()


def test_steady_with_masks_needs_the_whole_object_to_be_seen():
    mask = np.zeros((3, *SIZE), np.uint8)
    mask[:, 10:20, 10:20] = 1
    mask[:, 30:40, 30:34] = 2
    path = np.tile([[14.5, 14.5], [31.5, 34.5]], (3, 1, 1))
    fit = probes.steady(truth_of(path, radius=np.sqrt(100 / np.pi), mask=mask), SIZE)
    assert fit.all(0).tolist() == [True, False]
    assert not fit[:, 1].any()


@pytest.mark.parametrize("noise", [0.2, 1.0])
def test_jitter_is_the_known_noise_about_the_true_path(noise: float):
    truth = lines(1500)
    generator = np.random.default_rng(0)
    slow = np.array([1.5, -1.0]) + np.sin(np.arange(1500) / 200)[:, None, None]
    position = truth.position + slow + generator.normal(0, noise, truth.position.shape)
    owner = np.tile(np.arange(4), (1500, 1))
    fit = np.ones(owner.shape, bool)
    assert probes.true_jitter(position, owner, truth, fit) == pytest.approx(noise, rel=0.03)


def test_jitter_is_not_made_by_swaps_nor_by_what_is_not_steady():
    truth = lines(60)
    position, owner = truth.position.copy(), np.tile(np.arange(4), (60, 1))
    position[30:, [0, 1]] = position[30:, [1, 0]]
    owner[30:, [0, 1]] = [1, 0]
    fit = np.ones(owner.shape, bool)
    position[20, 2] += 3
    fit[20, 2] = False
    assert probes.true_jitter(position, owner, truth, fit) == 0
    assert np.isnan(probes.true_jitter(position, owner, truth, np.zeros_like(fit)))


def test_shifted_frames_are_rolled_inside_and_repeat_the_edge():
    frames = np.random.default_rng(0).integers(0, 255, (2, 16, 20, 3)).astype(np.uint8)
    moved = probes.shift_frames(frames, (3, -2))
    rolled = np.roll(frames, (-2, 3), (1, 2))
    assert (moved[:, :-2, 3:] == rolled[:, :-2, 3:]).all()
    assert (moved[:, :-2, :3] == frames[:, 2:, :1]).all()
    assert (moved[:, -2:, 3:] == frames[:, -1:, :-3]).all()


def test_shift_errors_are_of_live_inner_particles():
    before = np.array([[[30, 30], [40, 30], [20, 40], [5, 30], [30, 50]]], float)
    after = before + np.array([2, -1])
    after[0, 0] += [3, 4]  # 5 px off
    after[0, 1] += [0, 9]  # lost
    live = np.array([[True, True, True, True, False]])
    error, lost = probes.shift_errors(before, live, after, live, (2, -1), SIZE, 10, 6)
    assert error.tolist() == [5, 0]
    assert lost == pytest.approx(1 / 3)
    nobody = np.zeros_like(live)
    error, lost = probes.shift_errors(before, nobody, after, live, (2, -1), SIZE, 10, 6)
    assert len(error) == 0
    assert np.isnan(lost)


def test_calibration_of_a_gaussian_that_knows_itself():
    generator = np.random.default_rng(0)
    sigma = np.exp(generator.normal(0, 1, (20000, 1))).repeat(2, 1)
    miss = generator.normal(0, sigma)
    found = probes.calibration(sigma, miss)
    assert found["within_1_sigma"] == pytest.approx(0.683, abs=0.01)
    assert found["within_2_sigma"] == pytest.approx(0.954, abs=0.01)
    assert 0.6 < found["spearman"] < 0.95
    sure = probes.calibration(sigma / 2, miss)
    assert sure["within_1_sigma"] == pytest.approx(0.383, abs=0.01)
    assert sure["spearman"] == found["spearman"]


def test_calibration_ranks_the_error():
    sigma = np.linspace(1, 2, 500)[:, None].repeat(2, 1)
    assert probes.calibration(sigma, sigma**3)["spearman"] == pytest.approx(1)
    assert probes.calibration(sigma, sigma[::-1])["spearman"] == pytest.approx(-1)
    random = np.random.default_rng(0).normal(0, 1, (500, 2))
    assert abs(probes.calibration(sigma, random)["spearman"]) < 0.15
    assert np.isnan(probes.calibration(np.ones((5, 2)), random[:5])["spearman"])
    assert np.isnan(probes.calibration(sigma[:0], random[:0])["within_1_sigma"])


def scattered(places: list[list[float]], live: list[float]) -> Particles:
    """One frame's particles at places in pixels."""
    k = len(places)
    return Particles(
        from_pixels(torch.tensor([places]), *SIZE),
        torch.full((1, k, 2), -8.0),
        torch.randn(1, k, 8, generator=torch.Generator().manual_seed(0)),
        torch.tensor([live]),
        torch.ones(1, k),
        torch.zeros(1, k),
    )


class Painter(DLP):
    """Draws every particle as a shaded disc of 6 px over grey, exactly."""

    leak = 0.0
    follows = True

    def decode(self, particles: Particles) -> Scene:
        y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
        mask, image = torch.zeros(64, 64), torch.full((3, 64, 64), 0.4)
        for place in to_pixels(particles.position[0], *SIZE):
            place = place if self.follows else torch.tensor([31.5, 31.5])
            across, down = x - place[0], y - place[1]
            inside = (across**2 + down**2 < 36).float()
            shade = torch.stack([0.5 + across / 20, 0.5 + down / 20, 0.5 + across * down / 99])
            image, mask = torch.where(inside > 0, shade, image), torch.maximum(mask, inside)
        image = image + self.leak * particles.position.sum()
        patches = torch.ones(1, particles.count, 4, 16, 16)
        return Scene(image[None], image[None] * mask, mask[None, None], patches)


def painter(leak: float = 0.0, follows: bool = True) -> Painter:
    model = Painter(DLPConfig(width=8), SIZE)
    model.leak, model.follows = leak, follows
    return model


# The first is alone; the next two touch; the fourth is dead; the last is at the edge.
PLACES = [[20.0, 20.0], [50.0, 50.0], [46.0, 52.0], [22.0, 30.0], [1.0, 40.0]]
LIVING = [1.0, 1.0, 1.0, 0.1, 1.0]


def test_the_real_decoder_changes_nothing_elsewhere():
    torch.manual_seed(0)
    model = DLP(DLPConfig(width=8, features=8), SIZE).eval()
    done = probes.move_by_hand(model, scattered(PLACES, LIVING))
    assert done is not None
    assert done.outside == 0


def test_a_particle_moved_by_hand_takes_its_object_along():
    done = probes.move_by_hand(painter(), scattered([[30.0, 30.0]], [1.0]))
    assert done is not None
    assert done.outside == 0
    assert done.psnr > 60


def test_a_decoder_that_changes_the_rest_is_found_out():
    done = probes.move_by_hand(painter(leak=0.01), scattered(PLACES[:1], LIVING[:1]))
    assert done is not None
    assert done.outside == pytest.approx(0.01 * 8 * 2 / 64, rel=1e-3)


def test_a_decoder_that_leaves_the_object_behind_is_found_out():
    done = probes.move_by_hand(painter(follows=False), scattered([[31.5, 31.5]], [1.0]))
    assert done is not None
    assert done.psnr < 25


def test_nothing_is_moved_where_nothing_can_be():
    assert probes.move_by_hand(painter(), scattered([[30, 30]], [0.1])) is None
    assert probes.move_by_hand(painter(), scattered([[2, 2]], [1.0])) is None


def overlapping() -> tuple[Particles, np.ndarray, np.ndarray]:
    """Two patches of 16 px that share columns 32 to 39; owners and true labels."""
    particles = scattered([[31.5, 31.5], [39.5, 31.5], [31.5, 31.5]], [1.0, 1.0, 0.1])
    mask = np.zeros((1, 64, 64), np.uint8)
    mask[:, 24:40, 32:48] = 2
    mask[:, 24:40, 24:40] = 1
    return particles, np.array([[0, 1, -1]]), mask


@pytest.mark.parametrize(("depth", "share"), [([2.0, 0, 0], 1.0), ([0, 2.0, 0], 0.0)])
def test_the_nearer_of_two_is_on_top_or_is_not(depth: list[float], share: float):
    particles, owner, mask = overlapping()
    placed = replace(particles, depth=torch.tensor([depth]))
    assert probes.nearer_on_top(painter(), placed, owner, mask) == share


def test_without_overlap_nobody_is_on_top():
    particles, owner, mask = overlapping()
    assert np.isnan(probes.nearer_on_top(painter(), particles, np.full((1, 3), -1), mask))
    apart = replace(
        particles, position=from_pixels(torch.tensor([[[12.0, 12], [50, 50], [30, 30]]]), *SIZE)
    )
    assert np.isnan(probes.nearer_on_top(painter(), apart, owner, mask))
