"""The figures of a report: how each is called, measured and printed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.pixel_metrics import MOVING_THRESHOLD, PSNR_CAP
from pipelines.results import EvaluationResult
from pipelines.segments import SOLID


@dataclass(frozen=True)
class Figure:
    """How a per-step figure is called, measured and printed."""

    key: str
    title: str
    unit: str
    digits: int
    convention: str


FIGURES = (
    Figure(
        "psnr_moving",
        "PSNR on moving pixels",
        "dB, more is better",
        2,
        f"a pixel moves if a channel differs by more than {MOVING_THRESHOLD} of the range from "
        "the last context frame or from the temporal median, plus one pixel around; mean "
        f"squared error over those pixels and their channels, per frame, capped at "
        f"{PSNR_CAP:.0f} dB; frames where nothing moves are left out.",
    ),
    Figure(
        "psnr",
        "PSNR",
        "dB, more is better",
        2,
        "from the mean squared error over all pixels and channels in [0, 1], per frame, capped "
        f"at {PSNR_CAP:.0f} dB; then the mean over frames and videos. The other convention, from "
        "the mean error over a video's frames, stands further down.",
    ),
    Figure(
        "ssim",
        "SSIM",
        "more is better, 1 is equal",
        4,
        "torchmetrics: Gaussian window of sigma 1.5 (11 x 11), per RGB channel, data range 1, "
        "per frame; then the mean over frames and videos. The other convention is the next figure.",
    ),
    Figure(
        "ssim_uniform",
        "SSIM, uniform windows",
        "more is better, 1 is equal",
        4,
        "the default of scikit-image: windows of 7 x 7 inside the frame, all pixels alike, "
        "with the sample covariance; per RGB channel, data range 1; means as above.",
    ),
    *(
        Figure(
            f"lpips_{trunk}",
            f"LPIPS, {title}",
            "less is better, 0 is equal",
            4,
            f"version 0.1, linear heads, {title}, frames as they are (not enlarged), per frame; "
            "then the mean over frames and videos.",
        )
        for trunk, title in (("alex", "AlexNet"), ("vgg", "VGG-16"))
    ),
    Figure(
        "fg_ari",
        "FG-ARI of the particles' segments",
        "more is better, 1 is equal",
        3,
        "adjusted Rand index over true objects' pixels alone, per frame: identity over time does "
        "not count; it does in the figure of whole clips, further down; a pixel belongs to the "
        f"particle that is drawn most there, if all cover it by more than {SOLID}; frames with "
        "fewer than two objects are left out.",
    ),
    Figure(
        "fg_miou",
        "FG-mIoU of the particles' segments",
        "more is better, 1 is equal",
        3,
        "intersection over union of each true object and its segment (assigned for the greatest "
        "sum), an object without one counting 0; mean over a frame's objects. The union counts a "
        "pixel once.",
    ),
    Figure(
        "fg_miou_twice",
        "FG-mIoU, its union counting common pixels twice",
        "more is better, 0.5 is equal",
        3,
        "the same with the sum of both areas as its union, as some published code has it: 0.5 at "
        "most. To be held against figures of such code alone.",
    ),
    Figure(
        "coverage",
        "Coverage by the forecast particles",
        "more is better, 1 is all",
        3,
        "share of a frame's visible objects with a live particle within 6 % of the longer side, "
        "whichever particle it is; objects that came in after the context count too.",
    ),
    Figure(
        "precision",
        "Precision of the forecast particles",
        "more is better, 1 is all",
        3,
        "share of a frame's live particles within 6 % of the longer side, or its radius, of a "
        "visible object.",
    ),
    Figure(
        "position_error",
        "Position error of the same particle",
        "pixels, less is better",
        2,
        "live particles and visible objects are paired once, at the last context frame (least "
        "total distance, within 6 % of the longer side or the object's radius); then the same "
        "row is held to the same object, wherever that is visible. Mean over a video's objects, "
        "then over videos.",
    ),
)


def measured(result: EvaluationResult, figure: Figure) -> dict[str, np.ndarray]:
    """Method to [v, h], the model first; without the methods that lack the figure."""
    methods = {"model": result.model, **result.baselines}
    found = {name: getattr(scores, figure.key) for name, scores in methods.items()}
    return {name: values for name, values in found.items() if values is not None}
