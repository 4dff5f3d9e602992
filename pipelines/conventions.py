"""How each figure of a report is measured, in words: where the field has two ways, which one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dlp.particles import LIVE
from pipelines.figures import FIGURES
from pipelines.metrics import TOLERANCE
from pipelines.results import DRAWS, RECONSTRUCTION

NEAR = f"{TOLERANCE * 100:g} % of the longer side"


@dataclass(frozen=True)
class Convention:
    """How figures are measured that a video, or all together, have once.

    Args:
        title: of the figures.
        of: parts of their names; (): it holds for all.
        words: how they are measured.
    """

    title: str
    of: tuple[str, ...]
    words: str


CALIBRATED = "calibration"
"""What `conventions` takes for the plot of it."""
PARTICLES = (
    Convention(
        "Reconstruction PSNR",
        (RECONSTRUCTION,),
        "PSNR as above, of the context's frames as they are drawn from the particles that the "
        "forecast starts with; mean over frames.",
    ),
    Convention(
        "PSNR from the mean error over all frames",
        ("PSNR from the mean error",),
        "the field's other one: one mean squared error over all forecast frames of a video, then "
        "decibels, then the mean over videos. It is never above the mean over frames.",
    ),
    Convention(
        "FG-ARI and FG-mIoU over whole clips",
        ("over whole clips",),
        "as above, all forecast frames of a video taken for one tall frame: a particle must stay "
        "on its object.",
    ),
    Convention(
        "Live particles",
        ("particles", "coverage", "precision", "followed", "jitter", "identity", "IDF1"),
        f"a particle is live above transparency {LIVE}. Of the context those count that the "
        "forecast starts with: seen in three frames or in the last.",
    ),
    Convention(
        "Jitter",
        ("jitter",),
        "noise of the context's tracks per coordinate, from the median absolute second difference "
        "over 0.6745 and over the root of 6.",
    ),
    Convention(
        "Coverage of the context",
        ("coverage of the context",),
        f"share of the visible objects, all frames together, with a live particle within {NEAR}.",
    ),
    Convention(
        "Precision of the context",
        ("precision of the context",),
        f"share of the live particles, all frames together, within {NEAR}, or its radius, of a "
        "visible object.",
    ),
    Convention(
        "Live particles per object",
        ("live particles per object",),
        "live particles over visible objects, counted over all frames of the context; 1 is best.",
    ),
    Convention(
        "Live particles off",
        ("live particles off",),
        "mean over forecast steps of | live particles - visible objects |; 0 is best.",
    ),
    Convention(
        "Objects that are followed",
        ("is followed",),
        "share of the objects that are visible in the last context frame which had a particle "
        "there; the position errors are of these alone.",
    ),
    Convention(
        "IDF1",
        ("IDF1",),
        "Ristani et al., 2016, by motmetrics, over the context's tracks and the forecast that goes "
        f"on with them; a particle may be matched within {NEAR} or the object's radius. Mean of "
        "the videos' own values, unless it says that it is of all videos together: then matches "
        "and misses are summed first, as motmetrics' own total has it.",
    ),
    Convention(
        "Identity switches",
        ("identity switches",),
        "CLEAR MOT (Bernardin and Stiefelhagen, 2008), by motmetrics, over the same frames, per "
        "1,000 visible object-frames.",
    ),
    Convention(
        "50 % and 90 % interval",
        ("% interval",),
        "share of the true coordinates, x and y apart, inside the central interval of the sampled "
        "futures, over followed objects and the steps where they are visible. The ends are order "
        "statistics (Weibull's quantiles, p (S + 1)), so that samples that are drawn like the "
        "truth cover just that share; S samples must be enough: 3 for the half, 19 for nine "
        "tenths.",
    ),
    Convention(
        "Calibration",
        (CALIBRATED,),
        "the same for the central intervals of 0.1 to 0.9; on the diagonal the samples are as "
        "spread as the truth, below it they are too sure.",
    ),
    Convention(
        "Best of S samples",
        ("error of the best of",),
        "minADE: of each followed object the sample whose mean distance over its visible steps is "
        "least; pixels, mean over objects, then over videos. It falls with S: hold it against "
        "others of the same S alone.",
    ),
    Convention(
        "Best whole scene of S samples",
        ("error of the best whole scene",),
        "minJADE: the one sample that is nearest to all followed objects together; as above else.",
    ),
    Convention(
        "Error of the middle future",
        ("error of the middle",),
        "the same distance of the forecast without chance: one future, so no best is picked.",
    ),
    Convention(
        "FVD",
        ("FVD",),
        "Unterthiner et al., 2018. Features of the network in the file that --fvd names, as "
        "TorchScript; the field's is the I3D of Kinetics-400 in i3d_torchscript.pt. It gets the "
        "forecast frames alone, without the context, as values from 0 to 255, and rescales and "
        "resizes them itself (rescale and resize are on: 224 x 224 in that file). The distance is "
        "|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)) of the means and sample covariances over "
        "videos; it falls with the number of videos: hold it against others of the same number "
        "alone.",
    ),
    Convention(
        "Intervals in brackets and bands",
        (),
        f"95 %, by bootstrap: {DRAWS:,} draws of whole videos (or windows) with replacement, from "
        "the 2.5th to the 97.5th percentile of their means; the draws' seed is {seed}.",
    ),
)


def conventions(steps: Collection[str], once: Collection[str], seed: int) -> dict[str, str]:
    """Title to words, of the figures that a report has.

    Args:
        steps: keys of the per-step figures.
        once: names of the others; CALIBRATED among them if it is plotted.
        seed: of the bootstrap.
    """
    found = {figure.title: figure.convention for figure in FIGURES if figure.key in steps}
    for one in PARTICLES:
        if not one.of or any(part in name for part in one.of for name in once):
            found[one.title] = one.words.replace("{seed}", str(seed))
    return found
