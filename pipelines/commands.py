"""What each command runs, once its options are parsed.

Each imports what it runs only when it runs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from jsonargparse import Namespace

from data.errors import UserError
from pipelines import options
from pipelines import options_measure as measure
from pipelines.config import EngineConfig
from pipelines.parsing import Command


def _placed(engine: EngineConfig, given: Namespace) -> EngineConfig:
    """The engine on what --accelerator and --devices name, which is for all stages."""
    named = {name: getattr(given, name) for name in ("accelerator", "devices")}
    try:
        return replace(
            engine, **{name: value for name, value in named.items() if value is not None}
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def _train(given: Namespace) -> None:
    from pipelines.pretrained import new_run
    from pipelines.train import train

    train(
        given.data,
        new_run(given.run),
        given.frames,
        given.dlp,
        _placed(given.stage1, given),
        given.dynamics,
        _placed(given.stage2, given),
        max_minutes=given.max_minutes,
        resume=given.resume,
        seed=given.seed,
    )


def _train_dlp(given: Namespace) -> None:
    from pipelines.pretrained import new_run
    from pipelines.train_dlp import train_dlp

    train_dlp(
        given.data,
        new_run(given.run),
        given.frames,
        given.dlp,
        _placed(given.stage1, given),
        max_minutes=given.max_minutes,
        max_steps=given.max_steps,
        resume=given.resume,
        seed=given.seed,
    )


def _train_dynamics(given: Namespace) -> None:
    from pipelines.pretrained import new_run
    from pipelines.train_dynamics import train_dynamics

    train_dynamics(
        given.data,
        new_run(given.run),
        given.dynamics,
        _placed(given.stage2, given),
        max_minutes=given.max_minutes,
        max_steps=given.max_steps,
        resume=given.resume,
        seed=given.seed,
    )


def _fine_tune(given: Namespace) -> None:
    from pipelines.fine_tune import fine_tune
    from pipelines.pretrained import find_run

    fine_tune(
        given.data,
        find_run(given.run),
        Path(given.out),
        _placed(given.joint, given),
        max_minutes=given.max_minutes,
        max_steps=given.max_steps,
        resume=given.resume,
        seed=given.seed,
    )


def _ablate(given: Namespace) -> None:
    from pipelines.ablate import ablate
    from pipelines.pretrained import find_run

    ablate(
        given.data,
        find_run(given.run),
        Path(given.out),
        given.dynamics,
        given.stage2,
        max_steps=given.max_steps,
        seeds=given.seeds,
        only=given.only,
        kept=Path(given.page) if given.page else None,
    )


def _rollout(given: Namespace) -> None:
    from pipelines.pretrained import find_run
    from pipelines.rollout import rollout

    rollout(
        given.data,
        find_run(given.run),
        context=given.context,
        horizon=given.horizon,
        out=Path(given.out),
        limit=given.limit,
        start=given.start,
        particles=given.particles,
        samples=given.samples,
        seed=given.seed,
        births=given.births,
    )


def _evaluate(given: Namespace) -> None:
    from pipelines.compare_runs import evaluate_all
    from pipelines.pretrained import find_run

    runs = given.run if isinstance(given.run, list) else [given.run]
    evaluate_all(
        given.data,
        [find_run(run) for run in runs],
        context=given.context,
        horizon=given.horizon,
        out=Path(given.out),
        limit=given.limit,
        particles=given.particles,
        samples=given.samples,
        seed=given.seed,
        births=given.births,
        lpips=given.lpips,
        fvd=Path(given.fvd) if given.fvd else None,
    )


def _evaluate_dlp(given: Namespace) -> None:
    from pipelines.evaluate_dlp import evaluate_dlp
    from pipelines.pretrained import find_run

    evaluate_dlp(given.data, find_run(given.run), out=Path(given.out), limit=given.limit)


def _evaluate_tracking(given: Namespace) -> None:
    from pipelines.evaluate_tracking import evaluate_tracking
    from pipelines.pretrained import find_run

    evaluate_tracking(
        given.data,
        find_run(given.run),
        out=Path(given.out),
        limit=given.limit,
        particles=given.particles,
    )


def _evaluate_long(given: Namespace) -> None:
    from pipelines.evaluate_long import evaluate_long
    from pipelines.pretrained import find_run

    evaluate_long(given.data, find_run(given.run), out=Path(given.out), limit=given.limit)


def _regress_keypoints(given: Namespace) -> None:
    from pipelines.pretrained import find_run
    from pipelines.regress_keypoints import regress_keypoints

    regress_keypoints(
        given.data,
        find_run(given.run),
        out=Path(given.out),
        variance=given.with_variance,
        appearance=given.with_appearance,
        intercept=given.with_intercept,
        train_images=given.train_images,
        keep=given.filter_confidence,
        checkpoints=given.checkpoints,
    )


def _detect(given: Namespace) -> None:
    from pipelines.detect import detect
    from pipelines.pretrained import find_run

    detect(
        given.data,
        find_run(given.run),
        out=Path(given.out),
        limit=given.limit,
        keep=given.filter_confidence,
        overlap=given.overlap,
    )


def _make_data(given: Namespace) -> None:
    from data.make import make_data
    from pipelines.progress import reporting

    with reporting() as progress:
        make_data(
            given.world,
            Path(given.out),
            videos=given.videos,
            frames=given.frames,
            size=given.size,
            seed=given.seed,
            progress=progress,
            physics=given.physics,
        )


def _get_weights(given: Namespace) -> None:
    from pipelines.get_weights import get_weights

    files = (given.file, given.trunk, given.heads)
    get_weights(*(Path(file) if file else None for file in files))


def _results(given: Namespace) -> None:
    from pipelines.reproduce import reproduce

    reproduce(
        Path(given.out),
        Path(given.page),
        seeds=given.seeds,
        only=given.only,
        video=given.video,
        pretrained=Path(given.pretrained) if given.pretrained else None,
        readme=Path(given.readme) if given.readme else None,
    )


def _explore(given: Namespace) -> None:
    from pipelines.explore import explore
    from pipelines.pretrained import find_run

    explore(
        find_run(given.run),
        data=given.data,
        host=given.host,
        port=given.port,
        edit=given.edit,
        browser=given.open,
    )


def _demo(given: Namespace) -> None:
    from pipelines.demo import demo

    demo(Path(given.run), max_minutes=given.max_minutes)


def _bench(given: Namespace) -> None:
    from pipelines.bench import bench

    bench(Path(given.out), seconds=given.seconds, quick=given.quick)


COMMANDS = {
    "train": Command("train both stages", options.train, _train),
    "train-dlp": Command("train stage 1: frames to particles", options.train_dlp, _train_dlp),
    "train-dynamics": Command(
        "train stage 2: particles to their future", options.train_dynamics, _train_dynamics
    ),
    "fine-tune": Command("train both stages further, together", options.fine_tune, _fine_tune),
    "ablate": Command("what each choice of stage 2 is worth", measure.ablate, _ablate),
    "rollout": Command("forecast videos", options.rollout, _rollout),
    "evaluate": Command("measure forecasts beside baselines", measure.evaluate, _evaluate),
    "evaluate-dlp": Command("measure stage 1 alone", measure.evaluate_part, _evaluate_dlp),
    "evaluate-tracking": Command(
        "measure identity alone", measure.evaluate_tracking, _evaluate_tracking
    ),
    "evaluate-long": Command("measure a thousand steps", measure.evaluate_part, _evaluate_long),
    "regress-keypoints": Command(
        "measure landmarks by linear regression",
        measure.regress_keypoints,
        _regress_keypoints,
    ),
    "detect": Command("boxes from the particles that are sure", measure.detect, _detect),
    "make-data": Command("make a synthetic world's videos", options.make_data, _make_data),
    "get-weights": Command("fetch the weights of LPIPS", options.get_weights, _get_weights),
    "explore": Command("take hold of particles on a page", options.explore, _explore),
    "demo": Command("all of it, on a small synthetic set", options.demo, _demo),
    "results": Command("make the project's own results anew", measure.results, _results),
    "bench": Command("measure speed and memory", measure.bench, _bench),
}
