"""Training in bfloat16: what it may change, and what it may not."""

import pytest
import torch

from dlp.backdrop import relight
from dlp.config import DLPConfig
from dlp.glimpse import splat
from dlp.losses import Loss
from dlp.model import DLP

SIZE = (32, 48)


def narrow(enabled: bool) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled)


def test_what_is_drawn_where_and_the_light_are_exact() -> None:
    torch.manual_seed(0)
    patches, position, scale = torch.rand(2, 3, 4, 8, 8), torch.rand(2, 3, 2), torch.rand(2, 3) + 1
    still, frames = torch.rand(1, 3, *SIZE), torch.rand(2, 3, *SIZE)
    found = []
    for enabled in (False, True):
        with narrow(enabled):
            drawn, _ = splat(patches, position, scale, SIZE, 19)
            found.append((drawn, relight(still.expand_as(frames), frames)))
    for full, half in zip(*found, strict=True):
        assert torch.equal(full, half)


def test_places_differ_by_hundredths_of_a_pixel_and_all_is_given_in_float32() -> None:
    torch.manual_seed(0)
    model = DLP(DLPConfig(particles=6), (64, 64)).eval()
    image = torch.rand(2, 3, 64, 64)
    found = []
    for enabled in (False, True):
        with torch.no_grad(), narrow(enabled):
            proposals = model.prior(model.see(image))
            keypoints = torch.linspace(-0.8, 0.8, 12).view(1, 6, 2).expand(2, -1, -1)
            look = model.encoder(model.see(image), keypoints)[1]
            found.append((proposals.position, look.position, look.scale, look.appearance))
    for full, half in zip(*found, strict=True):
        assert half.dtype == torch.float32
        assert not torch.equal(full, half)  # or bfloat16 was not used at all
    for full, half in list(zip(*found, strict=True))[:2]:
        assert (full - half).abs().max() * 32 < 0.05  # pixels


def loss(enabled: bool) -> tuple[Loss, torch.Tensor]:
    torch.manual_seed(0)
    model = DLP(DLPConfig(particles=6), (64, 64))
    image = torch.rand(4, 3, 64, 64)
    torch.manual_seed(1)
    with narrow(enabled):
        found = model.loss(image, progress=0.5)
    found.total.backward()
    gradients = [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
    return found, torch.cat(gradients)


def test_the_loss_and_its_gradient_are_nearly_the_same() -> None:
    (full, one), (half, other) = loss(False), loss(True)
    assert half.total.item() == pytest.approx(full.total.item(), rel=0.01)
    assert torch.cosine_similarity(one, other, dim=0) > 0.98
