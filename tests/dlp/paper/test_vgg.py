from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dlp.build import build_model
from dlp.config import DLPConfig
from dlp.paper.config import PaperConfig
from dlp.paper.model import PaperDLP
from dlp.paper.vgg import CONVOLUTIONS, load_vgg

CONFIG = DLPConfig(model="paper", particles=3, n_prior=4, width=8, features=3)


def made(seed: int = 0) -> dict[str, Tensor]:
    """Weights with the names and shapes of torchvision's, and a classifier's that nobody needs."""
    torch.manual_seed(seed)
    weights = {"classifier.0.bias": torch.zeros(7)}
    for layer, (inputs, outputs) in CONVOLUTIONS.items():
        scale = (2 / (9 * inputs)) ** 0.5
        weights[f"features.{layer}.weight"] = scale * torch.randn(outputs, inputs, 3, 3)
        weights[f"features.{layer}.bias"] = 0.1 * torch.randn(outputs)
    return weights


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    save_file(made(), path)
    return path


def torchvision_like(weights: dict[str, Tensor]) -> nn.Sequential:
    """The same network as modules, in torchvision's order, its ReLUs in place."""
    layers: list[nn.Module] = []
    inputs = 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if width:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = width
        else:
            layers.append(nn.MaxPool2d(2))
    network = nn.Sequential(*layers)
    keep = {k.removeprefix("features."): v for k, v in weights.items() if k.startswith("features")}
    network.load_state_dict(keep)
    return network


@torch.no_grad()
def test_it_equals_the_network_layer_by_layer(file: Path) -> None:
    network, image = torchvision_like(made()), torch.rand(1, 3, 32, 32)
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    x, expected = (image - mean) / std, []
    for index, layer in enumerate(network):
        x = layer(x)
        if index in (2, 7, 12, 21, 30):
            expected.append(x)  # the next ReLU changes it in place, as in the paper's code
    assert len(network) == 31
    found = load_vgg(str(file)).features(image)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))


def test_the_distance_is_zero_to_itself_and_pulls_the_first_image(file: Path) -> None:
    vgg = load_vgg(str(file))
    image, other = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32).requires_grad_()
    assert (vgg(image, image) == 0).all()
    distance = vgg(other, image)
    assert distance.shape == (2,)
    assert (distance > 0).all()
    distance.sum().backward()
    assert other.grad is not None
    assert other.grad.abs().max() > 0
    assert vgg(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)).isfinite().all()


def test_pth_and_safetensors_are_the_same(file: Path, tmp_path: Path) -> None:
    torch.save(made(), tmp_path / "vgg16.pth")
    image = torch.rand(1, 3, 32, 32)
    one, other = load_vgg(str(file)), load_vgg(str(tmp_path / "vgg16.pth"))
    assert torch.equal(one.features(image)[-1], other.features(image)[-1])


def test_it_is_used_in_training_and_left_out_of_the_checkpoint(file: Path) -> None:
    config = replace(CONFIG, paper=PaperConfig(rec="vgg", vgg_weights=str(file)))
    model = build_model(config, (32, 32), training=True)
    image = torch.rand(2, 3, 32, 32)
    for progress in (0.0, 1.0):
        assert model.loss(image, progress).total.isfinite()
    plain = PaperDLP(CONFIG, (32, 32))
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert len(list(model.parameters())) == len(list(plain.parameters()))
    plain.load_state_dict(model.state_dict())
    torch.manual_seed(0)
    with_vgg = model.loss(image, 1.0).terms["reconstruction"]
    torch.manual_seed(0)
    assert with_vgg > plain.loss(image, 1.0).terms["reconstruction"]


def test_without_a_file_it_loads_but_does_not_train() -> None:
    config = replace(CONFIG, paper=PaperConfig(rec="vgg"))
    model = build_model(config, (32, 32))
    with pytest.raises(ValueError, match="VGG"):
        model.loss(torch.rand(1, 3, 32, 32), 1.0)
    with pytest.raises(ValueError, match=r"--dlp\.paper\.vgg_weights FILE.*--dlp\.paper\.rec mse"):
        build_model(config, (32, 32), training=True)


def cut(path: Path) -> None:
    path.write_bytes(b"cut short")


def without_a_layer(path: Path) -> None:
    weights = made()
    del weights["features.14.bias"]
    torch.save(weights, path)


def another_shape(path: Path) -> None:
    torch.save({**made(), "features.5.weight": torch.zeros(128, 64, 5, 5)}, path)


def a_list(path: Path) -> None:
    torch.save([torch.zeros(3)], path)


def code(path: Path) -> None:
    torch.save({"features.0.weight": print}, path)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: None, "no such file"),
        (cut, "vgg.pth: "),
        (without_a_layer, r"no tensor features\.14\.bias"),
        (another_shape, r"features\.5\.weight has shape \(128, 64, 5, 5\), expected \(128, 64, 3"),
        (a_list, "expected a state dict, found list"),
        (code, "vgg.pth: "),
    ],
)
def test_an_unfit_file_is_refused(write: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    path = tmp_path / "vgg.pth"
    write(path)
    with pytest.raises(ValueError, match=f"vgg_weights.*{said}.*torchvision") as error:
        load_vgg(str(path))
    assert "\n" not in str(error.value)


def test_a_cut_safetensors_file_is_refused(tmp_path: Path) -> None:
    cut(tmp_path / "vgg.safetensors")
    with pytest.raises(ValueError, match=r"vgg_weights.*vgg\.safetensors: .*torchvision"):
        load_vgg(str(tmp_path / "vgg.safetensors"))
