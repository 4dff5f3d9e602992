"""What makes one sampled future differ from another."""

from __future__ import annotations

import torch
from torch import Tensor


class Chance:
    """Random inputs of b sets of n rows, drawn anew at each call but for what lasts.

    The first half of a row's numbers stays the same through the whole future (a driver in a
    hurry), the second half is drawn at each step (one who brakes now).

    Args:
        rows: (b, n).
        width: even, `DynamicsConfig.chance`.
        generator: draws them; none: torch's own.
        device: where they are used.
    """

    def __init__(
        self,
        rows: tuple[int, int],
        width: int,
        generator: torch.Generator | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.shape = (*rows, width // 2)
        self.generator = generator
        self.device = device
        self.lasting = self._draw()

    def _draw(self) -> Tensor:
        drawn = torch.randn(self.shape, generator=self.generator)
        return drawn if self.device is None else drawn.to(self.device)

    def renew(self, rows: Tensor) -> None:
        """Draw anew what lasts, in the rows [b, n] bool that another particle has now."""
        if rows.any():
            self.lasting = torch.where(rows[..., None], self._draw(), self.lasting)

    def __call__(self) -> Tensor:
        """The next step's numbers, [b, n, width]."""
        return torch.cat([self.lasting, self._draw()], -1)
