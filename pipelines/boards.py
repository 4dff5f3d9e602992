"""TensorBoard: scalars, words, images that may play, curves, the Projector, HParams."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from dlp.particles import Particles
from pipelines.draw import plot_curves
from pipelines.film import gif_bytes
from pipelines.panel import panel

_SPRITE = 8192  # the Projector's largest sprite, pixels a side


def fresh_board(folder: Path) -> Board:
    """A board that shows what is written now alone: older logs of this very folder are deleted.

    Those of folders inside it stay.
    """
    for log in folder.glob("events.out.tfevents.*"):
        log.unlink()
    return Board(folder)


class Board:
    """What one run shows in TensorBoard.

    Args:
        folder: the log folder.
        purge_step: on resuming, what was logged from this step on is no longer shown.
    """

    def __init__(self, folder: str | Path, purge_step: int | None = None) -> None:
        self.folder = Path(folder)
        self._purge_step = purge_step

    @cached_property
    def _writer(self) -> SummaryWriter:
        """Opened at the first entry: a run that is refused leaves no empty log."""
        return SummaryWriter(str(self.folder), purge_step=self._purge_step)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """One number a tag; a tag such as `loss/reconstruction` is grouped by its first part."""
        for tag, value in values.items():
            self._writer.add_scalar(tag, float(value), step)

    def text(self, tag: str, text: str, step: int) -> None:
        """Words for the Text tab, as Markdown."""
        self._writer.add_text(tag, text, step)

    def images(self, tag: str, image: np.ndarray, step: int) -> None:
        """One uint8 image [h, w, 3]."""
        self._writer.add_image(tag, image, step, dataformats="HWC")

    def film(self, tag: str, frames: Sequence[np.ndarray] | np.ndarray, fps: float, step: int):
        """Uint8 frames [t, h, w, 3] as a GIF, which plays by itself in the Images tab."""
        # SummaryWriter.add_video writes nothing without an old moviepy.
        height, width = frames[0].shape[:2]
        image = Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=gif_bytes(frames, fps)
        )
        self._add(Summary(value=[Summary.Value(tag=tag, image=image)]), step)

    def panel(
        self,
        step: int,
        images: Tensor,
        particles: Particles,
        *,
        proposals: Tensor,
        reconstruction: Tensor,
        foreground: Tensor,
        masks: Tensor,
        background: Tensor,
        boxes: Tensor | None = None,
        tag: str = "panel",
    ) -> None:
        """What stage 1 makes of n images; the arguments are those of `pipelines.panel.panel`."""
        grid = panel(
            images,
            particles,
            proposals=proposals,
            reconstruction=reconstruction,
            foreground=foreground,
            masks=masks,
            background=background,
            boxes=boxes,
        )
        self.images(tag, grid, step)

    def curve(
        self,
        tag: str,
        curves: Mapping[str, np.ndarray],
        step: int,
        *,
        unit: str,
        as_scalars: bool = False,
    ) -> None:
        """Values against the horizon, one line a method, as an image.

        Args:
            curves: name to [h] values at forecast steps 1 to h.
            unit: of the values, such as "dB".
            as_scalars: also write `tag/name` scalars whose step is the forecast step. Once a
                run, at its end: a second time would draw over the first.
        """
        self.images(tag, plot_curves(curves, title=tag, unit=unit), step)
        if as_scalars:
            for name, values in curves.items():
                for horizon, value in enumerate(values, start=1):
                    if np.isfinite(value):
                        self._writer.add_scalar(f"{tag}/{name}", float(value), horizon)

    def projector(
        self,
        appearance: Tensor,
        glimpses: Tensor,
        metadata: Mapping[str, Sequence[object]],
        step: int,
        tag: str = "appearance",
    ) -> None:
        """Appearance vectors in the Projector, with their glimpses as sprites.

        Args:
            appearance: [n, d].
            glimpses: [n, 3, g, g] in [0, 1]; ceil(sqrt(n)) * g at most 8192.
            metadata: column to n values, such as identity, video and frame; two or more columns.
        """
        side = int(np.ceil(np.sqrt(len(glimpses)))) * glimpses.shape[-1]
        if side > _SPRITE:
            raise ValueError(
                f"projector: {len(glimpses)} glimpses of {glimpses.shape[-1]} px need a sprite "
                f"of {side} px; at most {_SPRITE}: give fewer"
            )
        self._forget(f"{tag}:{step:05d}")
        shutil.rmtree(self.folder / f"{step:05d}" / tag, ignore_errors=True)
        self._writer.add_embedding(
            appearance.detach().float().cpu(),
            metadata=[list(row) for row in zip(*metadata.values(), strict=True)],
            metadata_header=list(metadata),
            label_img=glimpses.detach().float().cpu(),
            global_step=step,
            tag=tag,
        )

    def _forget(self, name: str) -> None:
        """Take up the folder's list of embeddings, without one of this name.

        SummaryWriter starts an empty list, so a resumed run or the second stage would hide the
        embeddings written before it.
        """
        config, path = ProjectorConfig(), self.folder / "projector_config.pbtxt"
        if path.exists():
            text_format.Parse(path.read_text(), config)
        kept = [x for x in config.embeddings if x.tensor_name != name]
        self._writer._projector_config = ProjectorConfig(embeddings=kept)

    def hyperparameters(self, config: Mapping[str, object], metrics: Mapping[str, float]) -> None:
        """The HParams tab's row for this run, in this very log folder; once, at the run's end.

        Args:
            config: flat; values other than numbers and text are shown as text.
            metrics: shown under `hparam/NAME`; NaN leaves the cell empty.
        """
        # bool is an int to Python and would be shown as 0 or 1.
        plain = {
            name: value if type(value) in (int, float, str) else str(value)
            for name, value in config.items()
        }
        figures = {f"hparam/{name}": float(value) for name, value in metrics.items()}
        for summary in hparams(plain, figures):
            self._add(summary, None)
        self.scalars({tag: value for tag, value in figures.items() if np.isfinite(value)}, 0)

    def _add(self, summary: Summary, step: int | None) -> None:
        self._writer._get_file_writer().add_summary(summary, step)

    def flush(self) -> None:
        """Make what was written so far visible."""
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the log, if anything was logged."""
        if "_writer" in self.__dict__:
            self._writer.close()
