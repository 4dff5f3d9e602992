import pytest
import torch

from dlp.masked.tps import equivariance, interpolate, random_warp

CONTROL = torch.tensor([[-1.0, -1], [1, -1], [-1, 1], [1, 1], [0, 0], [0.3, -0.6]])


def test_control_points_go_where_they_are_sent() -> None:
    torch.manual_seed(0)
    target = CONTROL + 0.2 * torch.randn(3, len(CONTROL), 2)
    warp = interpolate(CONTROL, target)
    assert torch.allclose(warp(CONTROL.expand(3, -1, -1)), target, atol=1e-4)


def test_an_affine_map_stays_affine_everywhere() -> None:
    matrix, shift = torch.tensor([[0.9, 0.2], [-0.1, 1.1]]), torch.tensor([0.1, -0.3])
    warp = interpolate(CONTROL, (CONTROL @ matrix + shift)[None])
    points = torch.rand(1, 20, 2) * 2 - 1
    assert torch.allclose(warp(points), points @ matrix + shift, atol=1e-4)
    assert warp.weight[:, : len(CONTROL)].abs().max() < 1e-4


@pytest.mark.parametrize(("x", "y"), [(2, 0), (0, -3)])
def test_a_shift_moves_the_picture_by_whole_pixels(x: int, y: int) -> None:
    """g(p) = p + s: the bent picture shows at p what was at p + s."""
    image = torch.rand(2, 3, 16, 24)
    shift = torch.tensor([x * 2 / 24, y * 2 / 16])
    bent = interpolate(CONTROL, (CONTROL + shift).expand(2, -1, -1)).image(image)
    expected = image.roll((-y, -x), (2, 3))
    assert torch.allclose(bent[..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4], atol=1e-4)


def test_a_point_of_the_bent_picture_is_told_where_it_was() -> None:
    """A dot is found again, through the warp, at its place in the picture."""
    torch.manual_seed(1)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    image = (-((x - 40) ** 2 + (y - 25) ** 2) / 8).exp().expand(4, 1, 64, 64)
    warp = random_warp(image, shift=0.03)
    weight = warp.image(image).clamp(min=0) ** 2
    weight = weight / weight.sum((2, 3), keepdim=True)
    found = torch.stack([(weight * x).sum((1, 2, 3)), (weight * y).sum((1, 2, 3))], -1)
    place = (warp((found[:, None] + 0.5) / 32 - 1) + 1) * 32 - 0.5
    assert torch.allclose(place[:, 0], torch.tensor([40.0, 25.0]), atol=0.5)
    assert (found - torch.tensor([40.0, 25.0])).norm(dim=-1).max() > 1  # it did move


def test_each_picture_of_a_batch_is_bent_in_its_own_way() -> None:
    torch.manual_seed(0)
    weight = random_warp(torch.zeros(3, 1)).weight
    assert weight.shape == (3, 28, 2)
    assert not torch.allclose(weight[0], weight[1])


def test_equivariance_known_answers() -> None:
    """Landmarks that follow the bending cost nothing; each half a side off costs a quarter."""
    warp = interpolate(CONTROL, (CONTROL + torch.tensor([0.2, -0.4])).expand(2, -1, -1))
    moved = torch.rand(2, 5, 2) - 0.5
    there = moved + torch.tensor([0.2, -0.4])
    assert equivariance(warp, there, moved).item() == pytest.approx(0, abs=1e-6)
    off = there + torch.tensor([1.0, 0.0])
    assert equivariance(warp, off, moved).item() == pytest.approx(5 / 4, abs=1e-3)
