import torch

from dlp.suppress import suppress

SIDE = torch.tensor([64.0, 64.0])


def at(*pixels: tuple[float, float]) -> torch.Tensor:
    return torch.tensor([pixels]) / 32 - 1


def test_the_strongest_of_near_neighbours_stays_and_the_others_go() -> None:
    score = torch.tensor([[0.9, 0.95, 0.8]])
    left = suppress(score, at((20, 20), (21, 20), (20, 22)), 5.0, SIDE)
    assert left[0, 1] == score[0, 1]
    assert (left[0, [0, 2]] < 0.1).all()


def test_those_apart_keep_their_scores() -> None:
    score = torch.tensor([[0.9, 0.95, 0.8]])
    left = suppress(score, at((10, 20), (30, 20), (50, 22)), 5.0, SIDE)
    assert torch.allclose(left, score, atol=1e-4)


def test_one_who_is_suppressed_does_not_suppress_others() -> None:
    score = torch.tensor([[0.99, 0.95, 0.9]])
    left = suppress(score, at((20, 20), (24, 20), (28, 20)), 5.0, SIDE)
    assert left[0, 0] > 0.95
    assert left[0, 1] < 0.4
    assert left[0, 2] > 0.5


def test_permuting_the_particles_permutes_what_is_left() -> None:
    score, position = torch.rand(2, 9), torch.rand(2, 9, 2) - 0.5
    order = torch.randperm(9)
    one = suppress(score, position, 6.0, SIDE)[:, order]
    assert torch.allclose(one, suppress(score[:, order], position[:, order], 6.0, SIDE), atol=1e-6)


def test_no_gradient_asks_the_stronger_to_yield() -> None:
    score = torch.tensor([[0.9, 0.6]], requires_grad=True)
    suppress(score, at((20, 20), (22, 20)), 5.0, SIDE)[0, 1].backward()
    assert score.grad is not None
    assert score.grad[0, 0] == 0
    assert score.grad[0, 1] > 0
