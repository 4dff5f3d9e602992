"""Measure landmarks: freeze stage 1, and regress true landmarks from its particles.

particlecast regress-keypoints --data SOURCE --run DIR --out OUT
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import UserError
from data.videos import Dataset
from dlp.build import ParticleModel
from pipelines.boards import fresh_board
from pipelines.checkpoint import checkpoint_root, list_checkpoints
from pipelines.draw import plot_curves
from pipelines.film import write_whole
from pipelines.folders import make_folder
from pipelines.frames import FramePool
from pipelines.load import check_size, load_dlp, open_data, unseen
from pipelines.pretrained import board_folder
from pipelines.provenance import machine
from pipelines.regress import (
    DRAWS,
    Faces,
    confident,
    curve,
    error,
    fit,
    fitting,
    gather,
    predict,
)
from pipelines.regress_panel import faces_panel
from pipelines.results import jsonable

PUBLISHED = (
    ("Zhang et al. 2018", 30, "positions", 3.16),
    ("KeyNet (Jakab et al. 2018)", 30, "positions", 2.58),
    ("KeyNet (Jakab et al. 2018)", 50, "positions", 2.54),
    ("DLP (2022)", 25, "positions", 2.87),
    ("DLP (2022)", 30, "positions", 2.56),
    ("DLP (2022)", 50, "positions", 2.43),
    ("DLP (2022)", 25, "and variances", 2.52),
    ("DLP (2022)", 30, "and variances", 2.49),
    ("DLP (2022)", 50, "and variances", 2.42),
)
"""Error on MAFL's 1,000 test images, %, trained on CelebA, as DLP's paper has them."""
FEW = 8
"""Faces that are shown."""
PROTOCOL = (
    "Frozen model, ordinary least squares without an intercept from the particles' positions in "
    "pixels to five landmarks; error over the distance between the eyes, mean over landmarks and "
    "test images (Thewlis et al. 2017, Jakab et al. 2018, DLP 2022)."
)


def regress_keypoints(
    data: str,
    run: Path,
    out: Path,
    variance: bool = False,
    appearance: bool = False,
    intercept: bool = False,
    train_images: int = 0,
    keep: float = 1.0,
    checkpoints: bool = False,
) -> dict[str, Any]:
    """Write OUT/keypoints.json, OUT/keypoints.md and two pictures, and print the figure.

    Args:
        variance, appearance: whether log sigma^2 and the features are inputs too.
        intercept: whether the regression has one, which the literature's has not.
        train_images: at most so many to regress from, drawn at random; 0: all.
        keep: share of the particles that stay, the most confident ones, in (0, 1].
        checkpoints: whether all checkpoints of the run are measured, to choose among them.

    Returns:
        What keypoints.json holds.

    Raises:
        UserError: the run or the source is unfit.
    """
    if not 0 < keep <= 1:
        raise UserError(f"--filter-confidence must be above 0 and at most 1, found {keep}")
    dlp = load_dlp(run)
    dataset = open_data(data, dlp.frames)
    check_size(dlp, dataset.whole, data)
    dataset = replace(dataset, test=unseen(dataset.test, data, dlp))
    make_folder(out)
    train, test = gather(dlp.model, fitting(dataset)), gather(dlp.model, dataset.test)
    if train_images:
        drawn = np.random.default_rng(0).permutation(len(train.truth))
        train = train.at(np.sort(drawn[:train_images]))
    kept = confident(train, keep)

    def measured(variance: bool, appearance: bool) -> tuple[np.ndarray, np.ndarray]:
        """The inputs of both sets."""
        one, other = (
            faces.inputs(variance, appearance, intercept, kept) for faces in (train, test)
        )
        return one, other

    mine = measured(variance, appearance)
    weight = fit(mine[0], train.truth)
    predicted = predict(mine[1], weight)
    by_inputs = {}
    for name, choice in {
        "positions": (False, False),
        "and variances": (True, False),
        "and features": (False, True),
        "and both": (True, True),
    }.items():
        one, other = measured(*choice)
        by_inputs[name] = error(predict(other, fit(one, train.truth)), test.truth)
    result: dict[str, Any] = {
        "data": data,
        "run": str(run),
        "model": dlp.model.config.model,
        "particles": len(kept),
        "train_images": len(train.truth),
        "test_images": len(test.truth),
        "intercept": intercept,
        "inputs": _inputs(variance, appearance),
        "error": error(predicted, test.truth),
        "by_inputs": by_inputs,
        "curve": curve(mine[0], train.truth, mine[1], test.truth),
        "mean_log_variance": uncertainty(test),
        "machine": machine(),
    }
    if checkpoints:
        result["checkpoints"] = among_checkpoints(run, dataset)
    write_whole(out / "keypoints.json", json.dumps(jsonable(result), indent=1).encode())
    write_whole(out / "keypoints.md", page(result).encode())
    _show(board_folder(run, out), dataset, dlp.model, test, predicted, result)
    print(
        f"error {result['error']:.2f} % of the distance between the eyes, {len(kept)} particles, "
        f"{result['inputs']}; the table is {out / 'keypoints.md'}",
        file=sys.stderr,
    )
    return result


def _inputs(variance: bool, appearance: bool) -> str:
    names = {(False, False): "positions", (True, False): "and variances"}
    return names.get((variance, appearance), "and both" if variance else "and features")


def uncertainty(faces: Faces) -> float | None:
    """Their mean log sigma^2; None if it is a constant of the model's, as KeyNet's."""
    return float(faces.log_variance.mean()) if np.ptp(faces.log_variance) else None


def among_checkpoints(run: Path, dataset: Dataset) -> list[dict[str, Any]]:
    """Each checkpoint's mean log sigma^2 and its errors, oldest first.

    The validation error is of a regression from training images, all without labels of the tests.
    """
    rows = []
    for folder in list_checkpoints(checkpoint_root(run, "stage1")):
        model = load_dlp(run, folder=folder).model
        train = gather(model, dataset.fit or dataset.train)
        val, test = gather(model, dataset.val), gather(model, dataset.test)
        weight = fit(train.inputs(), train.truth)
        rows.append(
            {
                "step": int(folder.name.removeprefix("step_")),
                "mean_log_variance": uncertainty(val),
                "validation_error": error(predict(val.inputs(), weight), val.truth),
                "test_error": error(predict(test.inputs(), weight), test.truth),
            }
        )
    return rows


def page(result: dict[str, Any]) -> str:
    """The result as Markdown, beside what was published."""
    lines = [
        f"# Landmarks from {result['particles']} particles",
        "",
        f"{result['model']}, {result['data']}, {result['train_images']} images to regress from, "
        f"{result['test_images']} to test. {PROTOCOL}",
        *(["This regression has an intercept."] if result["intercept"] else []),
        "",
        "| inputs | error, % |",
        "|---|---:|",
        *(f"| {name} | {value:.2f} |" for name, value in result["by_inputs"].items()),
        "",
        f"| images regressed from ({result['inputs']}) | error, % | deviation over {DRAWS} draws |",
        "|---:|---:|---:|",
        *(f"| {n} | {mean:.2f} | {spread:.2f} |" for n, (mean, spread) in result["curve"].items()),
    ]
    if rows := result.get("checkpoints"):
        lines += [
            "",
            "| checkpoint, step | mean log sigma^2 | validation error, % | test error, % |",
            "|---:|---:|---:|---:|",
            *(
                f"| {row['step']} | {_sigma(row['mean_log_variance'])} | "
                f"{row['validation_error']:.2f} | {row['test_error']:.2f} |"
                for row in rows
            ),
            "",
            *(f"Chosen by {title}: {_told(best)}." for title, best in chosen(rows).items()),
            "",
            "By uncertainty, only among those from half of the training on: sigma starts small.",
        ]
    lines += [
        "",
        "Published, on MAFL, models trained on CelebA at 128 pixels; comparable with a run on that "
        "data alone:",
        "",
        "| method | particles | inputs | error, % |",
        "|---|---:|---|---:|",
        *(f"| {method} | {k} | {inputs} | {value:.2f} |" for method, k, inputs, value in PUBLISHED),
    ]
    return "\n".join(lines) + "\n"


def _sigma(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _told(row: dict[str, Any] | None) -> str:
    return f"step {row['step']}, test error {row['test_error']:.2f} %" if row else "-"


def chosen(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any] | None]:
    """The checkpoint that each way of choosing takes; the least of the rows' figures.

    Log sigma^2 starts small and rises to what it should be, so the early ones are sure of
    themselves for no reason: by uncertainty, none before half of the training's steps is taken.
    None: the model has no sigma of its own.
    """
    last = max(row["step"] for row in rows)
    sure = [r for r in rows if 2 * r["step"] >= last and r["mean_log_variance"] is not None]
    return {
        "mean uncertainty": min(sure, key=lambda row: row["mean_log_variance"], default=None),
        "validation error": min(rows, key=lambda row: row["validation_error"]),
        "the test itself (a bound)": min(rows, key=lambda row: row["test_error"]),
    }


def _show(
    folder: Path,
    dataset: Dataset,
    model: ParticleModel,
    test: Faces,
    predicted: np.ndarray,
    result: dict[str, Any],
) -> None:
    """Faces with their landmarks, and the curve, in TensorBoard."""
    pool = FramePool(dataset.test)
    few = pool.spread(FEW)
    faces = faces_panel(pool.take(few), test.at(few), predicted[few])
    board = fresh_board(folder / "keypoints")
    board.images("landmarks", faces, 0)
    counts = list(result["curve"])
    means = np.array([mean for mean, _ in result["curve"].values()])
    picture = plot_curves(
        {str(model.config.model): means},
        title="error against training images",
        unit="% of the distance between the eyes",
        along="training images, logarithm to base 10",
        at=np.log10(counts).tolist(),
    )
    board.images("curve", picture, 0)
    board.scalars({f"error/{name}": value for name, value in result["by_inputs"].items()}, 0)
    board.close()
