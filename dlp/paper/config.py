"""What only the paper's model is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PaperConfig:
    """Settings of the paper's model, beside those that both models share."""

    rec: Literal["mse", "vgg"] = "mse"
    """Reconstruction error: squared, or squared plus the distance of VGG-16 features."""
    vgg_weights: str | None = None
    """File of torchvision's vgg16 state dict, .safetensors or .pth; training with vgg needs it."""
    beta_rec: float = 1.0
    """Weight of the reconstruction error."""
    glimpses_until: float = 0.02
    """Share of the training in which only glimpses are reconstructed (the paper's 5 of 250)."""
    noise_until: float = 0.1
    """Share of the training in which noise on the alpha masks opens them (25 epochs of 250)."""
    neighbours: int = 10
    """Nearest particles, itself included, from which PointNet++ gathers to each."""
    maps: bool = True
    """Whether the decoder sees Gaussian maps of the particles too."""
    kl: Literal["chamfer", "ordered", "none"] = "chamfer"
    """Divergence of the positions: chamfer, between sets; for ablations also ordered, of the i-th
    particle from the i-th proposal, and none."""
    tps: bool = False
    """Whether the masked model's prior sees the frame bent by a thin-plate spline."""
    equivariance: float = 0.0
    """Weight that holds the masked model's positions on a bent frame to its positions on the frame,
    bent alike (Zhang et al., 2018); not in the paper, 0: off."""

    def __post_init__(self) -> None:
        rules = [
            (self.rec in ("mse", "vgg"), "rec", "mse or vgg"),
            (self.beta_rec > 0, "beta_rec", "above 0"),
            (0 <= self.glimpses_until <= 1, "glimpses_until", "from 0 to 1"),
            (0 <= self.noise_until <= 1, "noise_until", "from 0 to 1"),
            (self.neighbours >= 1, "neighbours", "at least 1"),
            (self.kl in ("chamfer", "ordered", "none"), "kl", "chamfer, ordered or none"),
            (self.equivariance >= 0, "equivariance", "0 or more"),
        ]
        for holds, name, rule in rules:
            if not holds:
                raise ValueError(
                    f"dlp.paper.{name} must be {rule}, found {getattr(self, name)}: "
                    f"set --dlp.paper.{name} to {rule}"
                )
