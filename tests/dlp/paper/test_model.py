from dataclasses import replace

import pytest
import torch

from dlp.build import ParticleModel, build_model
from dlp.config import DLPConfig
from dlp.model import DLP
from dlp.paper.config import PaperConfig
from dlp.paper.model import PaperDLP
from dlp.particles import Particles

SMALL = DLPConfig(model="paper", particles=5, n_prior=8, width=8, features=3)


def model(config: DLPConfig = SMALL, size: tuple[int, int] = (32, 48)) -> PaperDLP:
    torch.manual_seed(0)
    return PaperDLP(config, size)


@pytest.mark.parametrize("maps", [True, False])
def test_shapes_and_ranges(maps: bool) -> None:
    dlp = model(replace(SMALL, paper=PaperConfig(maps=maps)))
    encoding = dlp.encode(torch.rand(2, 3, 32, 48))
    particles = encoding.particles
    assert particles.position.shape == (2, 5, 2)
    assert particles.appearance.shape == encoding.appearance_log_variance.shape == (2, 5, 3)
    assert particles.position.abs().max() <= 1
    assert ((particles.transparency >= 0) & (particles.transparency <= 1)).all()
    assert (particles.scale == 1).all()
    assert (particles.depth == 0).all()
    assert encoding.proposals.position.shape == (2, 8, 2)
    scene = dlp.decode(particles)
    assert scene.image.shape == (2, 3, 32, 48)
    assert scene.mask.shape == (2, 1, 32, 48)
    assert scene.patches.shape == (2, 5, 4, 16, 16)
    assert ((scene.image >= 0) & (scene.image <= 1)).all()


def test_every_weight_gets_a_gradient_and_the_loss_is_the_paper_s_sum() -> None:
    dlp = model()
    loss = dlp.loss(torch.rand(4, 3, 32, 48), progress=1.0)
    loss.total.backward()
    for name, weight in dlp.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().max() > 0, name
    terms = loss.terms
    divergence = terms["chamfer_kl"] + 0.001 * terms["appearance_kl"]
    assert torch.isclose(loss.total, terms["reconstruction"] + 0.1 * divergence)
    assert not any(term.requires_grad for term in terms.values())


def test_at_first_only_glimpses_are_reconstructed() -> None:
    """The background learns nothing yet, though its gradient is there for many processes."""
    dlp = model()
    loss = dlp.loss(torch.rand(2, 3, 32, 48), progress=0.0)
    assert loss.terms["rec"] != loss.terms["reconstruction"]
    loss.total.backward()
    for name, weight in dlp.named_parameters():
        assert weight.grad is not None, name
    drawn = [p.grad.abs().max() for p in dlp.background_decoder.parameters() if p.grad is not None]
    assert max(drawn) == 0
    assert dlp.patch.linear.weight.grad is not None
    assert dlp.patch.linear.weight.grad.abs().max() > 0


def test_noise_on_the_masks_ends() -> None:
    dlp, image = model(), torch.rand(2, 3, 32, 48)

    def mask(progress: float) -> torch.Tensor:
        seen = {}
        original = dlp.decode

        def spy(particles: Particles, background: torch.Tensor, noise: float) -> object:
            seen["noise"] = noise
            return original(particles, background, noise)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dlp, "decode", spy)
            dlp.loss(image, progress)
        return torch.tensor(seen["noise"])

    assert mask(0.05) > 0
    assert mask(0.1) == mask(1.0) == 0


def test_encoding_is_deterministic_and_leaves_the_model_as_it_was() -> None:
    dlp, image = model(), torch.rand(2, 3, 32, 48)
    before = {name: tensor.clone() for name, tensor in dlp.state_dict().items()}
    one, other = dlp.encode(image), dlp.encode(image)
    for name in ("position", "log_variance", "appearance", "transparency"):
        assert torch.equal(getattr(one.particles, name), getattr(other.particles, name))
    assert torch.equal(dlp(image).image, dlp(image).image)
    assert all(torch.equal(before[name], tensor) for name, tensor in dlp.state_dict().items())


def test_the_order_of_the_particles_does_not_matter_to_the_picture() -> None:
    dlp = model()
    particles = dlp.encode(torch.rand(2, 3, 32, 48)).particles
    position = torch.rand_like(particles.position) * 2 - 1
    particles = replace(particles, position=position)
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = particles.apply(lambda tensor: tensor[:, order])
    assert torch.allclose(dlp.decode(particles).image, dlp.decode(shuffled).image, atol=1e-5)


def test_moving_one_particle_moves_its_patch_and_leaves_far_ones() -> None:
    dlp = model(size=(64, 64))
    with torch.no_grad():
        particles = dlp.encode(torch.rand(1, 3, 64, 64)).particles
        particles = replace(
            particles,
            position=torch.tensor([[[-0.7, -0.7], [0.7, 0.7], [0.7, -0.7], [-0.7, 0.7], [0, 0]]]),
            transparency=torch.ones(1, 5),
        )
        moved = replace(particles, position=particles.position.clone())
        moved.position[0, 0] = torch.tensor([-0.5, -0.1])
        change = (dlp.decode(moved).mask - dlp.decode(particles).mask).abs()[0, 0]
    changed = change.nonzero()
    for centre in ((-0.7, -0.7), (-0.5, -0.1)):
        x, y = ((c + 1) * 32 - 0.5 for c in centre)
        near = ((changed[:, 1] - x).abs() <= 9) & ((changed[:, 0] - y).abs() <= 9)
        changed = changed[~near]
    assert len(changed) == 0
    assert change.max() > 0.1


def test_a_particle_that_is_not_in_use_does_not_change_the_picture() -> None:
    dlp = model()
    particles = dlp.encode(torch.rand(1, 3, 32, 48)).particles
    unused = replace(particles, transparency=torch.tensor([[1.0, 1.0, 1.0, 1.0, 0.0]]))
    elsewhere = replace(unused, appearance=unused.appearance.clone(), position=unused.position + 0)
    elsewhere.appearance[0, 4] = 9.0
    elsewhere.position[0, 4] = -0.9
    assert torch.allclose(dlp.decode(unused).image, dlp.decode(elsewhere).image, atol=1e-6)


def test_the_background_without_its_own_particle_is_the_training_s_mean() -> None:
    dlp, image = model(), torch.rand(4, 3, 32, 48)
    for _ in range(3):
        dlp.loss(image, 1.0)
    assert dlp.background_mean.abs().max() > 0
    particles = dlp.encode(image).particles
    mean = dlp.background_mean.expand(4, -1)
    assert torch.equal(dlp.decode(particles).image, dlp.decode(particles, mean).image)
    kept = dlp.background_mean.clone()
    dlp.eval().loss(image, 1.0)
    assert torch.equal(kept, dlp.background_mean)


@pytest.mark.parametrize("name", ["dlp", "paper"])
def test_the_config_chooses_the_model(name: str) -> None:
    config = replace(SMALL, model=name)  # type: ignore[arg-type]
    built: ParticleModel = build_model(config, (32, 48))
    assert type(built) is {"dlp": DLP, "paper": PaperDLP}[name]
    assert (built.config, built.size) == (config, (32, 48))
    median = torch.rand(3, 32, 48)
    built.start_from(median)
    assert torch.equal(built.background_image(), median)
    assert not built.background_image().requires_grad
    assert len(built.slow_parameters()) == {"dlp": 1, "paper": 0}[name]


def test_frames_and_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"30x48 pixels .* patches of 8"):
        PaperDLP(SMALL, (30, 48))
    with pytest.raises(ValueError, match=r"dlp.paper.noise_until .* found 2.*--dlp.paper.noise"):
        PaperConfig(noise_until=2)


def test_it_learns_to_follow_a_disc() -> None:
    """A few steps on one moving disc: much better than its mean image."""
    torch.manual_seed(0)
    steps = torch.arange(32.0)
    y, x = torch.meshgrid(steps, steps, indexing="ij")

    def discs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        centre = torch.rand(count, 2) * 18 + 6.5
        far = (x - centre[:, 0, None, None]) ** 2 + (y - centre[:, 1, None, None]) ** 2
        disc = torch.sigmoid(3 * (4 - far.sqrt()))[:, None]
        return disc * torch.tensor([0.9, 0.3, 0.1])[:, None, None] + (1 - disc) * 0.2, centre

    dlp = model(replace(SMALL, particles=1), (32, 32))
    optimizer = torch.optim.Adam(dlp.parameters(), lr=4e-3)
    for step in range(200):
        loss = dlp.loss(discs(16)[0], step / 200)
        optimizer.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(dlp.parameters(), 100.0)
        optimizer.step()
    image, centre = discs(64)
    with torch.no_grad():
        particles, scene = dlp.encode(image).particles, dlp(image)
    error = (scene.image - image).square().sum((1, 2, 3)).mean()
    still = (image.mean(0) - image).square().sum((1, 2, 3)).mean()
    assert error < 0.25 * still
    # A patch may draw its object anywhere in itself, so the particle is off, but goes along.
    for axis in (0, 1):
        both = torch.stack([particles.position[:, 0, axis], centre[:, axis]])
        assert torch.corrcoef(both)[0, 1] > 0.9
