import pytest
import torch

from dlp.config import DLPConfig
from dlp.paper.background import gaussian_maps, outside
from dlp.paper.pointnet import PointNet, nearest
from dlp.paper.posterior import PositionEncoder
from dlp.paper.prior import PatchPrior, farthest, spatial_softmax

SMALL = DLPConfig(model="paper", particles=4, n_prior=3, width=8, features=3)


def test_spatial_softmax_finds_a_peak() -> None:
    heat = torch.zeros(1, 4, 8)
    assert torch.allclose(spatial_softmax(heat)[1], torch.zeros(1, 2), atol=1e-6)
    heat[0, 3, 1] = 100.0
    weight, position = spatial_softmax(heat)
    assert torch.allclose(position, torch.tensor([[-0.625, 0.75]]))
    assert weight[0, 3, 1] == 1


def test_the_proposals_farthest_from_their_patch_s_centre_are_kept() -> None:
    inside = torch.tensor([[[0.0, 0.0], [0.9, 0.0], [-0.1, 0.1], [-0.6, -0.6], [0.0, 0.5]]])
    assert farthest(inside, 3).tolist() == [[1, 3, 4]]
    assert farthest(inside, 9).shape == (1, 5)


def test_a_flat_heatmap_proposes_the_patch_s_centre() -> None:
    prior = PatchPrior(SMALL)
    head = prior.heat[-1]
    torch.nn.init.zeros_(head.weight)  # type: ignore[arg-type]
    torch.nn.init.zeros_(head.bias)  # type: ignore[arg-type]
    position = prior(torch.rand(1, 3, 8, 24)).position[0]
    where = position[position[:, 0].argsort()]
    assert torch.allclose(where, torch.tensor([[-2 / 3, 0], [0, 0], [2 / 3, 0]]), atol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_flat_patch_proposes_its_centre_and_a_busy_one_does_not(stride: int) -> None:
    torch.manual_seed(0)
    prior = PatchPrior(SMALL, stride)
    image = torch.rand(4, 3, 1, 1).expand(4, 3, 8, 24).clone()
    flat = prior(image).position
    assert torch.allclose(flat[..., 1], torch.zeros(()), atol=1e-5)
    assert torch.allclose(flat[..., 0].sort().values, torch.tensor([-2 / 3, 0, 2 / 3]), atol=1e-5)
    image[..., 8:16] = torch.rand(4, 3, 8, 8)
    busy = prior(image).position[:, 0]  # the farthest from its patch's centre comes first
    assert (busy[:, 0].abs() < 1 / 3).all()
    assert (busy.norm(dim=-1) > 0.01).all()


def test_a_patch_s_proposal_depends_on_that_patch_alone() -> None:
    torch.manual_seed(0)
    prior = PatchPrior(SMALL)
    image = torch.rand(1, 3, 8, 24)
    other = image.clone()
    other[..., 16:] = torch.rand(1, 3, 8, 8)
    one, two = (set(map(tuple, prior(x).position[0].tolist())) for x in (image, other))
    assert len(one & two) == 2


def test_each_particle_has_its_own_head() -> None:
    torch.manual_seed(0)
    encoder = PositionEncoder(SMALL)
    encoder.weight.data[1] = 0
    encoder.bias.data[1] = torch.tensor([-3.0, -4.0])
    log_variance = encoder(torch.rand(2, 3, 16, 16))[1]
    assert torch.equal(log_variance[:, 1], torch.tensor([[-3.0, -4.0]] * 2))
    assert (log_variance[:, 0] != log_variance[:, 2]).all()


def test_nearest_is_itself_first_and_stays_in_its_frame() -> None:
    position = torch.tensor([[[0.0, 0], [1, 0], [0.2, 0]], [[0, 0.9], [0, 0], [0, 1]]])
    assert nearest(position, 2).tolist() == [[[0, 2], [1, 2], [2, 0]], [[0, 2], [1, 0], [2, 0]]]
    assert nearest(position, 10).shape == (2, 3, 3)


def test_pointnet_does_not_see_the_order_nor_the_other_sets() -> None:
    torch.manual_seed(0)
    net = PointNet(3, 8, neighbours=4)
    features, position = torch.randn(2, 7, 3), torch.rand(2, 7, 2) * 2 - 1
    weight = torch.rand(2, 7)
    out = net(features, position, weight)
    assert out.shape == (2, net.outputs) == (2, 32)
    order = torch.randperm(7)
    again = net(features[:, order], position[:, order], weight[:, order])
    assert torch.allclose(out, again, atol=1e-6)
    assert torch.allclose(out[:1], net(features[:1], position[:1], weight[:1]), atol=1e-6)
    moved = net(
        features, position + torch.tensor([0.3, 0]) * (torch.arange(7) == 2)[:, None], weight
    )
    assert not torch.allclose(out, moved)


def test_gaussian_maps_known_answer() -> None:
    position = torch.tensor([[[-0.5, 0.5], [0.5, 0.5]]])
    weight = torch.tensor([[[1.0, 0.0], [2.0, 3.0]]])
    maps = gaussian_maps(position, weight, (2, 2), 0.5)
    side, diagonal = torch.exp(torch.tensor(-2.0)), torch.exp(torch.tensor(-4.0))
    below = torch.stack([1 + 2 * side, 2 + side])
    above = torch.stack([side + 2 * diagonal, 2 * side + diagonal])
    assert torch.allclose(maps[0, 0], torch.stack([above, below]))
    assert torch.allclose(maps[0, 1], 3 * torch.tensor([[diagonal, side], [side, 1.0]]))


def test_outside_is_all_but_the_glimpses() -> None:
    mask = outside(torch.tensor([[[-0.5, 0.0], [2.0, 2.0]]]), 4, (8, 16))[0, 0]
    expected = torch.ones(8, 16)
    expected[2:6, 2:6] = 0
    assert torch.equal(mask, expected)
