from dataclasses import replace

import pytest
import torch

from dlp.config import DLPConfig
from dlp.decoder import composite
from dlp.encoder import TRANSPARENCY
from dlp.glimpse import inside_frame
from dlp.model import DLP
from dlp.particles import Particles
from dlp.suppress import suppress

SMALL = DLPConfig(particles=5, n_prior=8, width=8, features=3)


def model(config: DLPConfig = SMALL, size: tuple[int, int] = (32, 48)) -> DLP:
    torch.manual_seed(0)
    return DLP(config, size)


def test_shapes_and_ranges() -> None:
    dlp = model()
    encoding = dlp.encode(torch.rand(2, 3, 32, 48))
    particles = encoding.particles
    assert particles.position.shape == (2, 5, 2)
    assert particles.appearance.shape == (2, 5, 3)
    assert particles.count == 5
    assert ((particles.transparency >= 0) & (particles.transparency <= 1)).all()
    assert ((particles.scale >= 1 / 1.5 - 1e-4) & (particles.scale <= 1.5 + 1e-4)).all()
    assert encoding.proposals.position.shape == (2, 8, 2)
    scene = dlp.decode(particles)
    assert scene.image.shape == (2, 3, 32, 48)
    assert scene.mask.shape == (2, 1, 32, 48)
    assert ((scene.mask >= 0) & (scene.mask <= 1)).all()


def test_every_weight_gets_a_gradient_and_the_loss_is_the_sum_of_its_terms() -> None:
    dlp = model()
    loss = dlp.loss(torch.rand(4, 3, 32, 48), progress=1.0)
    loss.total.backward()
    for name, weight in dlp.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().max() > 0, name
    terms = loss.terms
    assert torch.isclose(terms["loss"], loss.total)
    assert not any(term.requires_grad for term in terms.values())


def test_the_hold_at_the_centroid_moves_particles_and_does_not_price_their_life() -> None:
    def gradients(hold: float) -> tuple[torch.Tensor, torch.Tensor]:
        dlp = model(replace(SMALL, centre=hold))
        torch.manual_seed(1)
        dlp.loss(torch.rand(4, 3, 32, 48), progress=1.0).total.backward()
        life, masks = dlp.encoder.head.bias.grad, dlp.decoder.patch.linear.weight.grad
        assert life is not None
        assert masks is not None
        return life[TRANSPARENCY], masks

    (life, masks), (held, pulled) = gradients(0), gradients(1000)
    assert torch.allclose(life, held, rtol=1e-4)
    assert not torch.allclose(masks, pulled, rtol=0.1)


def test_the_hold_begins_with_a_tenth() -> None:
    image = torch.rand(4, 3, 32, 48)

    def share(progress: float) -> float:
        totals = []
        for hold in (0.0, 100.0):
            torch.manual_seed(1)
            totals.append(model(replace(SMALL, centre=hold)).loss(image, progress))
        return float((totals[1].total - totals[0].total).detach() / totals[0].terms["centre"])

    assert share(0.0) == pytest.approx(10, rel=1e-2)
    assert share(1.0) == pytest.approx(100, rel=1e-2)


def test_suppression_reaches_further_at_first_and_as_far_as_in_use_after_the_warm_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reaches: list[torch.Tensor] = []

    def noted(
        score: torch.Tensor, position: torch.Tensor, radius: torch.Tensor, side: torch.Tensor
    ) -> torch.Tensor:
        reaches.append(torch.as_tensor(radius))
        return suppress(score, position, radius, side)

    monkeypatch.setattr("dlp.model.suppress", noted)
    dlp, image = model(replace(SMALL, wide=2.4)), torch.rand(2, 3, 32, 48)
    dlp.encode(image)
    in_use, reaches[:] = list(reaches), []
    for progress, times in ((0.0, 2.4), (SMALL.warmup / 2, 1.7), (1.0, 1.0)):
        dlp.loss(image, progress)
        assert reaches[0] == pytest.approx(times * float(in_use[0]))  # among proposals
        # Scales, and so reaches, are of other particles where noise chose others.
        assert reaches[1].max() < times * in_use[1].max() * 1.1
        assert reaches[1].min() > times * in_use[1].min() / 1.1
        reaches.clear()


def test_encoding_is_deterministic() -> None:
    dlp, image = model(), torch.rand(2, 3, 32, 48)
    one, other = dlp.encode(image).particles, dlp.encode(image).particles
    assert torch.equal(one.position, other.position)


def test_particles_without_transparency_leave_the_background() -> None:
    dlp = model()
    dlp.decoder.background.data.uniform_()
    particles = dlp.encode(torch.rand(1, 3, 32, 48)).particles
    scene = dlp.decode(replace(particles, transparency=torch.zeros(1, 5)))
    assert torch.allclose(scene.image[0], dlp.decoder.background, atol=1e-6)


def test_moving_one_particle_changes_nothing_outside_its_two_patches() -> None:
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
        change = (dlp.decode(moved).image - dlp.decode(particles).image).abs().amax((0, 1))
    changed = change.nonzero()
    reach = 16 * 1.5 / 2 + 1
    for centre in ((-0.7, -0.7), (-0.5, -0.1)):
        x, y = ((c + 1) * 32 - 0.5 for c in centre)
        near = ((changed[:, 1] - x).abs() <= reach) & ((changed[:, 0] - y).abs() <= reach)
        changed = changed[~near]
    assert len(changed) == 0
    assert change.max() > 0.01


def test_frames_that_do_not_divide_into_patches_are_refused() -> None:
    with pytest.raises(ValueError, match="patches of 8"):
        DLP(SMALL, (30, 48))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("particles", 0),
        ("n_prior", 11),
        ("patch", 7),
        ("glimpse", 12),
        ("max_scale", 0.5),
        ("wide", 0.9),
    ],
)
def test_a_setting_out_of_range_names_rule_value_and_fix(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"dlp.{field} must be .* found {value}.*--dlp.{field}"):
        DLPConfig(**{field: value})  # type: ignore[arg-type]


def test_it_learns_to_find_a_disc() -> None:
    """A few steps on one moving disc: it is found, and nothing else is."""
    torch.manual_seed(0)
    steps = torch.arange(32.0)
    y, x = torch.meshgrid(steps, steps, indexing="ij")

    def discs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        centre = torch.rand(count, 2) * 18 + 6.5
        far = (x - centre[:, 0, None, None]) ** 2 + (y - centre[:, 1, None, None]) ** 2
        disc = torch.sigmoid(3 * (4 - far.sqrt()))[:, None]
        return disc * torch.tensor([0.9, 0.3, 0.1])[:, None, None] + (1 - disc) * 0.2, centre

    dlp = model(SMALL, (32, 32))
    dlp.decoder.background.data.fill_(0.2)
    optimizer = torch.optim.Adam(dlp.parameters(), lr=4e-3)
    for step in range(200):
        loss = dlp.loss(discs(16)[0], step / 200)
        optimizer.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(dlp.parameters(), 100.0)
        optimizer.step()
    image, centre = discs(64)
    with torch.no_grad():
        particles = dlp.encode(image).particles
    live = particles.transparency > 0.3
    assert (live.sum(1) == 1).float().mean() > 0.9
    best = particles.transparency.argmax(1)
    found = (particles.position[torch.arange(64), best] + 1) * 16 - 0.5
    assert (found - centre).norm(dim=-1).median() < 1.0


def test_a_patch_over_the_edge_is_on_the_frame_by_half() -> None:
    position = torch.tensor([[[-1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]])
    inside = inside_frame(position, torch.ones(1, 3), 8, (32, 48))[0]
    assert inside[0].sum() == 32
    assert inside[0, :, :4].sum() == 0  # the left half is off
    assert inside[1].sum() == 64
    assert inside[2, :4, :4].sum() == inside[2].sum() == 16


def test_training_looks_first_at_patches_that_differ_from_the_background() -> None:
    dlp = model(size=(64, 64))
    dlp.decoder.background.data.fill_(0.5)
    image = torch.full((64, 3, 64, 64), 0.5)
    image[:, :, 20:24, 36:40] = 1.0
    x, y = 36 // 8, 20 // 8

    def chosen(curiosity: float) -> float:
        dlp.config = replace(dlp.config, curiosity=curiosity)
        torch.manual_seed(0)
        proposals = dlp.encode(image, explore=1.0).proposals.position[:, :1]
        column, row = ((proposals + 1) * 4).floor().unbind(-1)
        return float(((column == x) & (row == y)).float().mean())

    assert chosen(50.0) == 1.0
    assert chosen(0.0) < 0.5


@pytest.mark.parametrize("nearer", [0, 1])
def test_of_two_particles_that_cross_the_nearer_keeps_its_colour(nearer: int) -> None:
    """Made pairs with the order known: where they overlap one sees the nearer, elsewhere each."""
    colours = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.2, 0.9]])
    rgb = colours[None, :, :, None, None].expand(1, 2, 3, 16, 16)
    depth = torch.tensor([[2.0, -2.0]]) * (1 if nearer == 0 else -1)
    ones = torch.ones(1, 2)

    def reach(apart: float) -> int:
        """Pixels from the middle to just inside the outer edge of a patch."""
        return int(32 * apart + 8) - 1

    for apart in (0.0, 0.1, 0.2):  # of half the frame's side
        position = torch.tensor([[[-apart, 0.0], [apart, 0.0]]])
        particles = Particles(position, position, ones[..., None], ones, ones, depth)
        image, _, _ = composite(
            rgb, torch.ones(1, 2, 1, 16, 16), particles, torch.zeros(1, 3, 64, 64), ones, 1.0
        )
        middle = image[0, :, 31:33, 31:33].mean((1, 2))
        assert (middle - colours[nearer]).abs().max() < 0.03
        left, right = image[0, :, 32, 32 - reach(apart)], image[0, :, 32, 31 + reach(apart)]
        if apart:  # a column that only one of them covers
            assert (left - colours[0]).abs().max() < 0.03
            assert (right - colours[1]).abs().max() < 0.03
