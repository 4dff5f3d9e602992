"""The settings of the stage 1 model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dlp.paper.config import PaperConfig

OBJECTS = ("dlp", "paper")
"""Models of scenes that are made of objects."""
MODELS = (*OBJECTS, "masked", "keynet", "zhang")


@dataclass(frozen=True)
class DLPConfig:
    """Deep latent particles, the object model (DLP, section 4; table of settings: appendix)."""

    model: Literal["dlp", "paper", "masked", "keynet", "zhang"] = "dlp"
    """dlp, or paper: the one published in 2022, with its own settings in `paper`; it has no use for
    max_scale, nor for those from price to warmup. For scenes that are not made of objects, such as
    faces: masked, the published one too; keynet and zhang, which it is measured against."""
    particles: int = 12
    """K, the foreground particles of a frame."""
    n_prior: int = 20
    """Keypoint proposals that the Chamfer-KL compares with; with model dlp, the best of them become
    the particles."""
    patch: int = 8
    """Side in pixels of the patches that propose one keypoint each: 4, 8, 16 or 32."""
    glimpse: int = 16
    """Side in pixels of a glimpse at scale 1, a multiple of 8."""
    max_scale: float = 1.5
    """Largest (and 1 over it, smallest) side of a particle's patch, in glimpses."""
    features: int = 16
    """D, the appearance features of a particle."""
    width: int = 32
    """Channels of the narrowest convolution."""
    sigma_prior: float = 0.1
    """Standard deviation of a proposal, in [-1, 1] coordinates."""
    beta_kl: float = 0.1
    """Weight of the divergences against squared error summed over pixels."""
    kl_balance: float = 0.001
    """Weight of the appearance's divergence against the positions'."""
    price: float = 0.2
    """Cost of one live particle, in squared error."""
    centre: float = 100.0
    """Weight, at the end of the warm-up, that holds each particle at its own alpha mask's centroid;
    a tenth of it at first."""
    area: float = 0.005
    """Cost of one covered pixel, in squared error: masks keep to their objects."""
    opaque: float = 0.02
    """Weight of a (1 - a) over the pixels of the masks: what covers, covers whole."""
    front: float = 0.001
    """Cost of one pixel of background that lies before the particles, in squared error."""
    refine: float = 0.1
    """Weight of the first look's likelihood of where the second ends: its variance is learned."""
    curiosity: float = 4.0
    """How much, in logits, training prefers patches that differ from the background."""
    wide: float = 2.4
    """How many times as far particles suppress each other at first, down to once when the warm-up
    ends: one particle learns to draw a long thing whole before a second is let near."""
    glimpses: float = 0.1
    """Weight of the patches' own squared error against their glimpses, early in the warm-up."""
    warmup: float = 0.5
    """Share of the training over which the prices phase in; over its first third, patches learn
    from their glimpses too, and noise on the alpha masks opens them."""
    paper: PaperConfig = field(default_factory=PaperConfig)
    """The paper's model's own settings."""

    @property
    def objects(self) -> bool:
        """Whether particles are objects, or else landmarks, each of which is always in use."""
        return self.model in OBJECTS

    def __post_init__(self) -> None:
        why = "with model dlp" if self.model == "dlp" else "with dlp.paper.kl ordered"
        rules = [
            (self.model in MODELS, "model", ", ".join(MODELS)),
            (
                self.n_prior >= self.particles
                or (self.model != "dlp" and self.paper.kl != "ordered"),
                "n_prior",
                f"at least dlp.particles ({self.particles}) {why}",
            ),
            (self.particles >= 1, "particles", "at least 1"),
            (self.n_prior >= 1, "n_prior", "at least 1"),
            (self.patch in (4, 8, 16, 32), "patch", "4, 8, 16 or 32"),
            (self.glimpse >= 8 and self.glimpse % 8 == 0, "glimpse", "a multiple of 8"),
            (self.max_scale >= 1, "max_scale", "at least 1"),
            (self.features >= 1, "features", "at least 1"),
            (self.width >= 8 and self.width % 8 == 0, "width", "a multiple of 8"),
            (self.sigma_prior > 0, "sigma_prior", "above 0"),
            (self.beta_kl >= 0, "beta_kl", "0 or more"),
            (self.kl_balance >= 0, "kl_balance", "0 or more"),
            (self.price >= 0, "price", "0 or more"),
            (self.centre >= 0, "centre", "0 or more"),
            (self.area >= 0, "area", "0 or more"),
            (self.opaque >= 0, "opaque", "0 or more"),
            (self.front >= 0, "front", "0 or more"),
            (self.refine >= 0, "refine", "0 or more"),
            (self.curiosity >= 0, "curiosity", "0 or more"),
            (self.glimpses >= 0, "glimpses", "0 or more"),
            (self.wide >= 1, "wide", "at least 1"),
            (0 <= self.warmup <= 1, "warmup", "from 0 to 1"),
        ]
        for holds, name, rule in rules:
            if not holds:
                raise ValueError(
                    f"dlp.{name} must be {rule}, found {getattr(self, name)}: "
                    f"set --dlp.{name} to {rule}"
                )
