import pytest
import torch

from dlp.backdrop import backdrop, moved, relight, shift_of
from dlp.config import DLPConfig
from dlp.model import DLP

SIZE = (32, 48)


def background() -> torch.Tensor:
    torch.manual_seed(0)
    return 0.2 + 0.6 * torch.rand(3, *SIZE)


def with_things(image: torch.Tensor) -> torch.Tensor:
    """A seventh of the picture is covered."""
    covered = image.clone()
    covered[:, 0, 4:18, 5:20] = 1.0
    covered[:, 1:, 4:18, 5:20] = 0.0
    return covered


def test_without_a_change_of_light_the_background_stays_as_it_is():
    still = background()
    assert torch.allclose(relight(still[None], still[None]), still[None], atol=1e-5)
    assert (relight(still[None], with_things(still[None])) - still).abs().max() < 0.01


@pytest.mark.parametrize(("gain", "offset"), [(0.8, 0.05), (1.2, -0.05)])
def test_gain_and_offset_are_found_whatever_covers_a_part(gain: float, offset: float):
    still = background()
    lit = gain * still[None] + offset
    found = relight(still[None], with_things(lit))
    assert (found - lit).abs().max() < 0.02
    assert (still - lit).abs().max() > 0.05


def test_each_frame_has_its_own_light():
    still = background()
    frames = torch.stack([0.8 * still, 1.2 * still])
    found = relight(still.expand_as(frames), frames)
    assert torch.allclose(relight(still[None], frames[1:]), found[1:], atol=1e-6)
    assert (found - frames).abs().max() < 0.02


def test_a_flat_background_takes_the_level_alone():
    flat = torch.full((3, *SIZE), 0.4)
    found = relight(flat[None], with_things(flat[None] + 0.1))
    assert (found - 0.5).abs().max() < 0.02


def scene() -> torch.Tensor:
    """Smooth blobs, so that a part of a pixel means something: [1, 3, 64, 64]."""
    torch.manual_seed(0)
    return torch.nn.functional.interpolate(torch.rand(1, 3, 16, 16), (64, 64), mode="bicubic")


@pytest.mark.parametrize("shift", [(1.0, -1.0), (-3.0, 2.0), (0.5, 1.5), (4.0, 4.0)])
def test_a_shaken_camera_is_followed(shift: tuple[float, float]):
    still, where = scene(), torch.tensor([shift])
    frame = with_things(moved(still, where))
    assert (shift_of(still, frame) - where).abs().max() < 0.3
    left = (backdrop(still[0], frame) - moved(still, where)).abs().mean()
    assert left < 0.3 * (still - moved(still, where)).abs().mean()


def test_a_camera_at_rest_is_left_at_rest():
    still = scene()
    assert not shift_of(still, with_things(still)).any()
    noisy = with_things(still) + 0.02 * torch.randn_like(still)
    assert (backdrop(still[0], noisy) - still).abs().max() < 0.02


def test_frames_do_not_touch_each_other():
    still = scene()
    frames = torch.cat([still, moved(0.9 * still, torch.tensor([[2.0, 1.0]])), still])
    together = backdrop(still[0], frames)
    for row in range(3):
        assert torch.allclose(backdrop(still[0], frames[row : row + 1]), together[row : row + 1])


def test_the_encoder_sees_no_difference_where_only_the_light_changed():
    torch.manual_seed(0)
    dlp = DLP(DLPConfig(particles=2, width=8, features=3), SIZE)
    dlp.decoder.background.data.copy_(background())
    frame = background()[None]
    assert dlp.see(frame)[:, 3:].abs().max() < 1e-3
    assert dlp.see(0.8 * frame)[:, 3:].abs().max() < 0.1
