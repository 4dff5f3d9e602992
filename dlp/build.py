"""Which stage 1 a config asks for, and what the pipelines need of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn

from dlp.baselines.keynet import KeyNet
from dlp.baselines.zhang import Zhang
from dlp.config import DLPConfig
from dlp.decoder import Scene
from dlp.losses import Loss
from dlp.masked.landmarks import LandmarkModel
from dlp.masked.model import MaskedDLP
from dlp.model import DLP, Encoding
from dlp.paper.model import PaperDLP
from dlp.paper.vgg import load_vgg
from dlp.particles import Particles
from dlp.uncertainty import Calibration


class ParticleModel(Protocol):
    """Frames to particles and back."""

    @property
    def config(self) -> DLPConfig:
        """The settings."""

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the frames."""

    @property
    def warmup(self) -> float:
        """Share of the training in which nothing is settled yet, in [0, 1]."""

    @property
    def calibration(self) -> Calibration:
        """What makes log sigma^2 mean what it says, outside of training."""

    def encode(self, image: Tensor) -> Encoding:
        """The particles of frames [b, 3, h, w] in [0, 1]; the same ones each time."""

    def decode(self, particles: Particles) -> Scene:
        """The frames of particles with one leading axis, b."""

    def loss(self, image: Tensor, progress: float) -> Loss:
        """The objective on frames [b, 3, h, w]; progress in [0, 1] is the share done."""

    def background_image(self) -> Tensor:
        """The scene without its things, [3, h, w] in about [0, 1], on the model's device."""

    def start_from(self, median: Tensor) -> None:
        """Begin with the median of the training frames, [3, h, w], as the background."""

    def slow_parameters(self) -> list[nn.Parameter]:
        """Those that start at good values and are to learn ten times slower."""


Model = DLP | PaperDLP | LandmarkModel
PUBLISHED: dict[str, Callable[..., Model]]
PUBLISHED = {"paper": PaperDLP, "masked": MaskedDLP, "keynet": KeyNet, "zhang": Zhang}


def build_model(config: DLPConfig, size: tuple[int, int], training: bool = False) -> Model:
    """The model that `config.model` names.

    Args:
        config: the settings.
        size: (h, w) of the frames.
        training: whether its loss is needed, and so the weights of VGG-16 with `rec: vgg`.

    Raises:
        ValueError: the frames do not fit, or the file of weights is unfit.
    """
    if config.model == "dlp":
        return DLP(config, size)
    vgg = training and config.paper.rec == "vgg"
    perceptual = load_vgg(config.paper.vgg_weights) if vgg else None
    return PUBLISHED[config.model](config, size, perceptual)
