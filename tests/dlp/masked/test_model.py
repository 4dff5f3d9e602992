"""The models of landmarks: the masked one, and those that it is measured against."""

from dataclasses import replace

import pytest
import torch

from dlp.build import build_model
from dlp.config import DLPConfig
from dlp.masked.landmarks import LandmarkModel, in_use, masks, separate_maps
from dlp.masked.model import MaskedDLP
from dlp.paper.config import PaperConfig
from dlp.paper.objective import divergence
from dlp.particles import Particles
from dlp.prior import Proposals

SMALL = DLPConfig(model="masked", particles=5, n_prior=8, width=8, glimpse=8, features=3)
NAMES = ("masked", "keynet", "zhang")


def model(name: str = "masked", **paper: object) -> LandmarkModel:
    torch.manual_seed(0)
    config = replace(SMALL, model=name, paper=PaperConfig(**paper))  # type: ignore[arg-type]
    built = build_model(config, (32, 48))
    assert isinstance(built, LandmarkModel)
    return built


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_ranges(name: str) -> None:
    dlp, image = model(name).eval(), torch.rand(2, 3, 32, 48)
    particles = dlp.encode(image).particles
    assert particles.position.shape == particles.log_variance.shape == (2, 5, 2)
    assert particles.appearance.shape == (2, 5, 3)
    assert particles.position.abs().max() <= 1
    assert (particles.transparency == 1).all()
    scene = dlp(image)
    assert scene.image.shape == (2, 3, 32, 48)
    assert scene.mask.shape == (2, 1, 32, 48)
    assert ((scene.image >= 0) & (scene.image <= 1)).all()
    assert not dlp.config.objects


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_gets_a_gradient(name: str) -> None:
    dlp = model(name)
    loss = dlp.loss(torch.rand(4, 3, 32, 48), progress=1.0)
    loss.total.backward()
    for parameter, weight in dlp.named_parameters():
        assert weight.grad is not None, parameter
        assert weight.grad.isfinite().all(), parameter
        assert weight.grad.abs().max() > 0, parameter
    assert not any(term.requires_grad for term in loss.terms.values())


@pytest.mark.parametrize("name", NAMES)
def test_encoding_is_the_same_each_time_and_changes_nothing(name: str) -> None:
    dlp, image = model(name).eval(), torch.rand(2, 3, 32, 48)
    before = {key: tensor.clone() for key, tensor in dlp.state_dict().items()}
    one, other = dlp.encode(image).particles, dlp.encode(image).particles
    assert torch.equal(one.position, other.position)
    assert torch.equal(dlp(image).image, dlp(image).image)
    assert all(torch.equal(before[key], tensor) for key, tensor in dlp.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_without_its_rest_a_picture_gets_the_training_s_mean(name: str) -> None:
    dlp, image = model(name), torch.rand(4, 3, 32, 48)
    dlp.loss(image, 1.0)
    assert dlp.rest_mean.abs().max() > 0
    particles = dlp.encode(image).particles
    mean = dlp.rest_mean.expand(4, *dlp.rest_mean.shape)
    assert torch.equal(dlp.decode(particles).image, dlp.decode(particles, mean).image)
    kept = dlp.rest_mean.clone()
    dlp.eval().loss(image, 1.0)
    assert torch.equal(kept, dlp.rest_mean)


def test_inside_the_masks_the_bypass_says_nothing_outside_the_particles_nothing() -> None:
    dlp = model().eval()
    assert isinstance(dlp, MaskedDLP)
    position = torch.tensor([[[-0.5, 0.0]]]).expand(1, 5, 2)
    particles = in_use(position, torch.zeros_like(position), torch.randn(1, 5, 3))
    rest = torch.randn(1, 5, 4, 6)
    seen: list[torch.Tensor] = []
    dlp.fine.register_forward_hook(lambda _, given, out: seen.append(given[0]))
    dlp.paint(particles, rest)
    inside = masks(position, (8, 12), 0.1)[0, 0].bool()
    assert 0 < inside.sum() < inside.numel()
    of_particles, of_rest = seen[0][0].split([dlp.particles.outputs, 5])
    assert (of_rest[:, inside] == 0).all()
    large = rest[0].repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert torch.equal(of_rest[:, ~inside], large[:, ~inside])
    assert (of_particles[:, ~inside] == 0).all()
    assert (of_particles[:, inside] != 0).any()


def test_masks_known_answer() -> None:
    """exp(-d^2 / (2 s^2)) > 0.2 within d = 1.794 s; a cell of eight is 0.25 wide."""
    position = torch.tensor([[[0.125, 0.125]]])
    mask = masks(position, (8, 8), 0.15)[0, 0]  # 0.269 reaches the four neighbours
    expected = torch.zeros(8, 8)
    expected[4, 3:6] = 1
    expected[3:6, 4] = 1
    assert torch.equal(mask, expected)
    maps = separate_maps(torch.tensor([[[0.125, 0.125], [-0.875, 0.125]]]), (8, 8), 0.15)
    assert maps.shape == (1, 2, 8, 8)
    assert maps[0, 0, 4, 4] == maps[0, 1, 4, 0] == 1
    assert maps[0, 1, 4, 4] < 1e-6


def test_the_masked_model_does_not_see_the_order_of_its_particles() -> None:
    dlp = model().eval()
    particles = in_use(torch.rand(2, 5, 2) * 2 - 1, torch.zeros(2, 5, 2), torch.randn(2, 5, 3))
    shuffled = particles.apply(lambda tensor: tensor[:, torch.tensor([3, 0, 4, 1, 2])])
    rest = torch.randn(2, 5, 4, 6)
    assert torch.allclose(dlp.paint(particles, rest), dlp.paint(shuffled, rest), atol=1e-5)


class Middle(torch.nn.Module):
    """A prior that proposes the centre of what is light."""

    def forward(self, image: torch.Tensor) -> Proposals:
        light = image.mean(1)  # (b, h, w)
        y, x = ((torch.arange(n) + 0.5) * 2 / n - 1 for n in light.shape[-2:])
        sums = [(light * x).sum((1, 2)), (light * y[:, None]).sum((1, 2))]
        self.seen = torch.stack(sums, -1) / light.sum((1, 2))[:, None]  # (b, 2)
        return Proposals(self.seen[:, None], torch.zeros(len(image), 1))


def test_the_bent_prior_s_proposals_are_told_in_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spot that lies elsewhere in the bent picture is told where it lies in the frame."""
    bent, told = model(tps=True), []

    def kept(config: DLPConfig, particles: Particles, places: torch.Tensor) -> torch.Tensor:
        told.append(places)
        return divergence(config, particles, places)

    monkeypatch.setattr("dlp.masked.model.divergence", kept)
    bent.prior = Middle()
    image = torch.zeros(8, 3, 32, 48)
    image[:, :, 11:14, 28:31] = 1
    place = torch.tensor([29.5 * 2 / 48 - 1, 12.5 * 2 / 32 - 1])
    torch.manual_seed(3)
    bent.loss(image, 1.0)
    (places,) = told
    assert (places[:, 0] - place).norm(dim=-1).max() < 0.04
    assert (bent.prior.seen - place).norm(dim=-1).max() > 0.1


def test_a_bent_prior_changes_no_encoding_and_learns() -> None:
    image = torch.rand(2, 3, 32, 48)
    plain, bent = model(), model(tps=True)
    bent.loss(image, 1.0).total.backward()
    assert all(weight.grad is not None for weight in bent.parameters())
    one, other = (dlp.eval().encode(image).particles for dlp in (plain, bent))
    assert torch.equal(one.position, other.position)


def test_equivariance_is_off_by_default_and_reaches_the_detector() -> None:
    image = torch.rand(2, 3, 32, 48)
    assert "equivariance" not in model().loss(image, 1.0).terms
    losses = []
    for price in (1.0, 1001.0):
        torch.manual_seed(1)
        held = model(equivariance=price)
        torch.manual_seed(2)
        losses.append(held.loss(image, 1.0))
    rise = losses[1].total - losses[0].total
    assert rise.item() == pytest.approx(1000 * losses[0].terms["equivariance"].item(), rel=1e-3)
    weight = held.get_parameter("position.heat.weight")
    (gradient,) = torch.autograd.grad(rise, weight, allow_unused=True)
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_divergences_known_answers() -> None:
    """The same two Gaussians in two orders: Chamfer-KL does not see it, the plain KL does."""
    position = torch.tensor([[[-0.5, 0.0], [0.5, 0.0]]])
    log_variance = torch.full_like(position, 0.1).log() * 2
    particles = in_use(position, log_variance, torch.zeros(1, 2, 3))
    config = replace(SMALL, particles=2)
    found = {}
    for kind in ("chamfer", "ordered", "none"):
        given = replace(config, paper=PaperConfig(kl=kind))
        found[kind] = [
            divergence(given, particles, places).item() for places in (position, position.flip(1))
        ]
    assert found["chamfer"] == pytest.approx([0, 0], abs=1e-5)
    # 1 apart on one axis at sigma 0.1: 0.5 (1 / 0.1)^2 = 50 nats for each particle, twice.
    assert found["ordered"] == pytest.approx([0, 200], abs=1e-3)
    assert found["none"] == [0, 0]


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"dlp.n_prior must be at least dlp.particles"):
        replace(SMALL, n_prior=4, paper=PaperConfig(kl="ordered"))
    assert replace(SMALL, n_prior=4).n_prior == 4  # its particles are not of its proposals
    with pytest.raises(ValueError, match=r"30x48 pixels .* patches of 8"):
        build_model(SMALL, (30, 48))


def discs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A disc on a plain ground, and its centre in pixels, [count, 2]."""
    steps = torch.arange(32.0)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    centre = torch.rand(count, 2) * 14 + 8.5
    far = (x - centre[:, 0, None, None]) ** 2 + (y - centre[:, 1, None, None]) ** 2
    disc = torch.sigmoid(3 * (4 - far.sqrt()))[:, None]
    return disc * torch.tensor([0.9, 0.3, 0.1])[:, None, None] + (1 - disc) * 0.2, centre


@pytest.mark.parametrize("name", NAMES)
def test_a_landmark_learns_to_follow_a_disc(name: str) -> None:
    """Far better than a guess after a few steps."""
    torch.manual_seed(0)
    dlp = build_model(replace(SMALL, model=name, particles=2), (32, 32))  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(dlp.parameters(), lr=4e-3)
    for step in range(120):
        loss = dlp.loss(discs(16)[0], step / 120)
        optimizer.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(dlp.parameters(), 100.0)
        optimizer.step()
    image, centre = discs(128)
    with torch.no_grad():
        position = dlp.eval().encode(image).particles.position.flatten(1)  # (n, 4)
    inputs = torch.cat([position, torch.ones(len(position), 1)], 1)
    weight = torch.linalg.lstsq(inputs[:64], centre[:64]).solution
    away = (inputs[64:] @ weight - centre[64:]).norm(dim=-1).mean()
    guess = (centre[64:] - centre[:64].mean(0)).norm(dim=-1).mean()
    assert away < 0.6 * guess
