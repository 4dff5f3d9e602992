"""Landmarks by linear regression from particles: the measure of the literature, as arrays.

Protocol (Thewlis et al. 2017; the public evaluations of Jakab et al. 2018 and of DLP agree in it):
the model is frozen; the inputs are the K positions in pixels of the frame, x and y each a column;
the targets are the landmarks in pixels; ordinary least squares without an intercept, without
centring, flips or augmentation; the error is the distance of a predicted landmark from the true one
over the distance between the true eyes of that face, averaged over landmarks and faces. DLP adds
each position's log sigma^2, and then the features, as more columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.errors import UserError
from data.videos import Dataset, Video
from dlp.build import ParticleModel
from dlp.particles import to_pixels
from pipelines.encode import encode_frames

LANDMARKS = 5
"""How many are regressed: both eyes, the nose, the corners of the mouth."""
DRAWS = 10
"""Random sets of training images for each number of them, as Thewlis et al. average over."""
COUNTS = (1, 5, 10, 20, 50, 100, 500, 1000, 5000)


@dataclass(frozen=True)
class Faces:
    """What a frozen model says of n images, and what is true.

    Args:
        position: [n, k, 2] pixels, 0 at the frame's left (top) edge.
        log_variance: [n, k, 2] of the position, in [-1, 1] coordinates.
        appearance: [n, k, d].
        truth: [n, LANDMARKS, 2] pixels.
    """

    position: np.ndarray
    log_variance: np.ndarray
    appearance: np.ndarray
    truth: np.ndarray

    def inputs(
        self,
        variance: bool = False,
        appearance: bool = False,
        intercept: bool = False,
        kept: np.ndarray | None = None,
    ) -> np.ndarray:
        """The columns of the regression, [n, c].

        Args:
            variance, appearance, intercept: whether these are added to the positions.
            kept: rows of the particles that count; None: all.
        """
        rows = np.arange(self.position.shape[1]) if kept is None else kept
        parts = [self.position[:, rows]]
        parts += [self.log_variance[:, rows]] if variance else []
        parts += [self.appearance[:, rows]] if appearance else []
        columns = [part.reshape(len(part), -1) for part in parts]
        columns += [np.ones((len(self.truth), 1))] if intercept else []
        return np.concatenate(columns, 1).astype(np.float64)

    def at(self, index: np.ndarray) -> Faces:
        """Some of the images."""
        return Faces(
            self.position[index],
            self.log_variance[index],
            self.appearance[index],
            self.truth[index],
        )


def gather(model: ParticleModel, videos: Sequence[Video], most: int = 0) -> Faces:
    """Encode the faces of some videos.

    Args:
        model: in eval mode.
        videos: of the model's size.
        most: images at most, evenly spread; 0: all.

    Raises:
        UserError: the source tells no landmarks, or too few.
    """
    total = sum(len(video) for video in videos)
    chosen = np.linspace(0, total - 1, min(most or total, total)).round().astype(int)
    parts, before = [], 0
    for video in videos:
        index = chosen[(chosen >= before) & (chosen < before + len(video))] - before
        before += len(video)
        if not len(index):
            continue
        if video.truth is None or video.truth.position.shape[1] < LANDMARKS:
            raise UserError(
                f"no landmarks: {video.name}: give CelebA with MAFL's lists, a folder with "
                "landmarks.csv, or synthetic:faces"
            )
        whole = len(index) == len(video)  # then read from the disk piece by piece
        particles = encode_frames(model, video.frames if whole else video.frames[index])
        position = to_pixels(particles.position, *model.size).numpy() + 0.5
        truth = np.asarray(video.truth.position[index, :LANDMARKS], np.float64)
        parts.append(
            Faces(position, particles.log_variance.numpy(), particles.appearance.numpy(), truth)
        )
    fields = ("position", "log_variance", "appearance", "truth")
    return Faces(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def fitting(dataset: Dataset) -> tuple[Video, ...]:
    """What landmarks are regressed from: the source's own list for it, else all but the tests."""
    known = {video.name: video for video in (*dataset.train, *dataset.val)}
    return dataset.fit or tuple(video for _, video in sorted(known.items()))


def fit(inputs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Least squares (of several solutions the smallest): [n, c] and [n, l, 2] to [c, l * 2]."""
    return np.linalg.lstsq(inputs, truth.reshape(len(truth), -1), rcond=None)[0]


def predict(inputs: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Landmarks [n, l, 2] from inputs [n, c]."""
    return (inputs @ weight).reshape(len(inputs), -1, 2)


def error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance over the distance between the eyes, in %; both [n, l, 2], the eyes first."""
    eyes = np.linalg.norm(truth[:, 0] - truth[:, 1], axis=-1)
    away = np.linalg.norm(predicted - truth, axis=-1)
    return float((away / eyes[:, None]).mean() * 100)


def confident(faces: Faces, share: float) -> np.ndarray:
    """Rows of the share of the particles whose mean log sigma^2 over all images is least."""
    order = np.argsort(faces.log_variance.sum(-1).mean(0), kind="stable")
    return np.sort(order[: max(1, round(share * len(order)))])


def curve(
    train: np.ndarray, truth: np.ndarray, test: np.ndarray, aim: np.ndarray, seed: int = 0
) -> dict[int, tuple[float, float]]:
    """The error against the number of training images, mean and deviation over DRAWS sets.

    Args:
        train, truth: inputs [n, c] and landmarks [n, l, 2] to draw from.
        test, aim: those of the test images.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for count in [*(c for c in COUNTS if c < len(train)), len(train)]:
        draws = DRAWS if count < len(train) else 1
        errors = []
        for _ in range(draws):
            index = rng.permutation(len(train))[:count]
            errors.append(error(predict(test, fit(train[index], truth[index])), aim))
        found[count] = (float(np.mean(errors)), float(np.std(errors)))
    return found
