"""The settings of the stage 2 model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DynamicsConfig:
    """Graph dynamics over linked particles (GNS, section 3; DLP, section 5)."""

    conv: Literal["interaction", "summed", "gcn", "gat", "gatv2", "transformer"] = "interaction"
    """Message passing: `interaction` carries and changes edge features and attends by them;
    `summed` does not attend; `transformer` attends by them and carries them; `gat` and `gatv2`
    attend by them; `gcn`, the paper's, has none."""
    target: Literal["acceleration", "displacement"] = "acceleration"
    """What is predicted: the change of the velocity, or the velocity itself."""
    neighbours: int = 5
    """k of the k-NN particle graph, rebuilt at each step."""
    history: int = 8
    """Past frames that a node sees."""
    hidden: int = 128
    """Width of nodes."""
    edge: int = 128
    """Width of edges and messages."""
    layers: int = 2
    """Rounds of message passing."""
    horizon: int = 10
    """Longest unroll in training; it grows from 1 over the first half."""
    noise: float = 1.0
    """Noise on the input history, over the measured jitter of the encoder's positions."""
    appearance_noise: float = 0.5
    """Noise on a particle's appearance in training, the same all through a window, over that of all
    particles: who a particle is may not be learned by heart."""
    walls: bool = True
    """Whether a node sees its distance to the frame's four sides."""

    chance: int = 8
    """Random numbers that a node is given in a sampled future: half of them last all through it,
    half are drawn at each step; 0: there is one future only."""
    image: float = 0.0
    """Weight of the squared error of predicted frames, through the decoder; 0: it is not used."""

    def __post_init__(self) -> None:
        convs = ("interaction", "summed", "gcn", "gat", "gatv2", "transformer")
        targets = ("acceleration", "displacement")
        rules = [
            (self.conv in convs, "conv", f"one of {', '.join(convs)}"),
            (self.target in targets, "target", "acceleration or displacement"),
            (self.neighbours >= 1, "neighbours", "at least 1"),
            (self.history >= 2, "history", "at least 2"),
            (self.hidden >= 8 and self.hidden % 4 == 0, "hidden", "a multiple of 4, at least 8"),
            (self.edge >= 4 and self.edge % 4 == 0, "edge", "a multiple of 4, at least 4"),
            (self.layers >= 1, "layers", "at least 1"),
            (self.horizon >= 1, "horizon", "at least 1"),
            (self.noise >= 0, "noise", "0 or more"),
            (self.appearance_noise >= 0, "appearance_noise", "0 or more"),
            (self.chance >= 0 and self.chance % 2 == 0, "chance", "an even number, 0 or more"),
            (self.image >= 0, "image", "0 or more"),
        ]
        for holds, name, rule in rules:
            if not holds:
                raise ValueError(
                    f"dynamics.{name} must be {rule}, found {getattr(self, name)}: "
                    f"set --dynamics.{name} to {rule}"
                )
