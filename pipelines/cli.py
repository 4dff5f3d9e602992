"""The command line: `particlecast COMMAND --help` tells what each command takes.

Settings come from the dataclasses' defaults, then the preset, then --config FILE, then the
options; the later one wins. Each command imports what it runs only when it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from data.errors import UserError
from pipelines.allocator import keep_memory
from pipelines.config import STAGE1, STAGE2, EngineConfig, plain, presets
from pipelines.parsing import MINUTES, Command, parse
from pipelines.signals import Interrupted

# OpenMP's threads spin while they wait, by default for so long that one other busy program makes
# training ten times slower. Read when torch is imported, which is later than this line.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
keep_memory()


def _source_and_run(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=str,
        required=True,
        help="SOURCE: a video, a folder of videos or of folders of frames, .npy, .npz, HDF5, "
        "or synthetic:WORLD.",
    )
    parser.add_argument("--run", type=str, required=True, help="The run's folder.")


def _training(parser: ArgumentParser, steps: bool) -> None:
    _source_and_run(parser)
    parser.add_argument(
        "--preset",
        type=str,
        default="auto",
        help=f"Settings to start from: auto (the synthetic world's own, else video), "
        f"{', '.join(presets())}.",
    )
    parser.add_argument(
        "--max-minutes",
        type=float | None,
        help=f"Minutes of training; {MINUTES:g} if no limit is given.",
    )
    if steps:
        parser.add_argument("--max-steps", type=int | None, help="Steps of training.")
    parser.add_argument(
        "--resume", action="store_true", help="Go on from the run's last checkpoint."
    )
    parser.add_argument("--seed", type=int, default=0, help="Decides every random choice.")


def _stage1_groups(parser: ArgumentParser) -> None:
    from data.frames import FrameConfig
    from dlp.config import DLPConfig

    parser.add_class_arguments(FrameConfig, "frames")
    parser.add_class_arguments(DLPConfig, "dlp")
    _engine_group(parser, "stage1", STAGE1)


def _stage2_groups(parser: ArgumentParser) -> None:
    from dynamics.config import DynamicsConfig

    parser.add_class_arguments(DynamicsConfig, "dynamics")
    _engine_group(parser, "stage2", STAGE2)


def _engine_group(parser: ArgumentParser, name: str, start: EngineConfig) -> None:
    """The engine's settings, with a stage's own defaults."""
    parser.add_class_arguments(EngineConfig, name)
    parser.set_defaults({f"{name}.{field}": value for field, value in plain(start).items()})


def _train_options(parser: ArgumentParser) -> None:
    _training(parser, steps=False)
    _stage1_groups(parser)
    _stage2_groups(parser)


def _train_dlp_options(parser: ArgumentParser) -> None:
    _training(parser, steps=True)
    _stage1_groups(parser)


def _train_dynamics_options(parser: ArgumentParser) -> None:
    _training(parser, steps=True)
    _stage2_groups(parser)


def _forecast_options(parser: ArgumentParser) -> None:
    _source_and_run(parser)
    parser.add_argument(
        "--context", type=int, required=True, help="Frames that the forecast may see."
    )
    parser.add_argument("--horizon", type=int, required=True, help="Steps to forecast.")
    _output(parser)


def _output(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=str, required=True, help="Folder for what is written.")
    parser.add_argument("--limit", type=int, default=0, help="Take at most so many videos; 0: all.")


def _evaluate_part_options(parser: ArgumentParser) -> None:
    _source_and_run(parser)
    _output(parser)


def _rollout_options(parser: ArgumentParser) -> None:
    _forecast_options(parser)
    parser.add_argument("--start", type=int, default=0, help="The context's first frame.")


def _make_data_options(parser: ArgumentParser) -> None:
    parser.add_argument("world", type=str, help="traffic, clevrer, billiards, marbles or shapes.")
    parser.add_argument("out", type=str, help="Folder for the videos and their tracks.")
    parser.add_argument("--videos", type=int, default=10, help="Videos to make.")
    parser.add_argument("--frames", type=int, default=60, help="Frames of each video.")
    parser.add_argument("--size", type=int, default=128, help="Side of the frames in pixels.")
    parser.add_argument("--seed", type=int, default=0, help="Decides every random choice.")
    parser.add_argument(
        "--physics",
        type=str,
        default="plain",
        help="plain, or for clevrer mujoco (pip install 'particlecast[mujoco]').",
    )


def _demo_options(parser: ArgumentParser) -> None:
    parser.add_argument("--run", type=str, default="runs/demo", help="The run's folder.")
    parser.add_argument("--max-minutes", type=float, default=9.0, help="Minutes it may take.")


def _bench_options(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=str, default="benchmarks", help="Folder for the results.")
    parser.add_argument("--seconds", type=float, default=1.0, help="For each measurement.")
    parser.add_argument(
        "--quick", action="store_true", help="One small configuration: does it work?"
    )


def _train(given: Namespace) -> None:
    from pipelines.train import train

    train(
        given.data,
        Path(given.run),
        given.frames,
        given.dlp,
        given.stage1,
        given.dynamics,
        given.stage2,
        max_minutes=given.max_minutes,
        resume=given.resume,
        seed=given.seed,
    )


def _train_dlp(given: Namespace) -> None:
    from pipelines.train_dlp import train_dlp

    train_dlp(
        given.data,
        Path(given.run),
        given.frames,
        given.dlp,
        given.stage1,
        max_minutes=given.max_minutes,
        max_steps=given.max_steps,
        resume=given.resume,
        seed=given.seed,
    )


def _train_dynamics(given: Namespace) -> None:
    from pipelines.train_dynamics import train_dynamics

    train_dynamics(
        given.data,
        Path(given.run),
        given.dynamics,
        given.stage2,
        max_minutes=given.max_minutes,
        max_steps=given.max_steps,
        resume=given.resume,
        seed=given.seed,
    )


def _rollout(given: Namespace) -> None:
    from pipelines.rollout import rollout

    rollout(
        given.data,
        Path(given.run),
        context=given.context,
        horizon=given.horizon,
        out=Path(given.out),
        limit=given.limit,
        start=given.start,
    )


def _evaluate(given: Namespace) -> None:
    from pipelines.evaluate import evaluate

    evaluate(
        given.data,
        Path(given.run),
        context=given.context,
        horizon=given.horizon,
        out=Path(given.out),
        limit=given.limit,
    )


def _evaluate_dlp(given: Namespace) -> None:
    from pipelines.evaluate_dlp import evaluate_dlp

    evaluate_dlp(given.data, Path(given.run), out=Path(given.out), limit=given.limit)


def _evaluate_tracking(given: Namespace) -> None:
    from pipelines.evaluate_tracking import evaluate_tracking

    evaluate_tracking(given.data, Path(given.run), out=Path(given.out), limit=given.limit)


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


def _demo(given: Namespace) -> None:
    from pipelines.demo import demo

    demo(Path(given.run), max_minutes=given.max_minutes)


def _bench(given: Namespace) -> None:
    from pipelines.bench import bench

    bench(Path(given.out), seconds=given.seconds, quick=given.quick)


COMMANDS = {
    "train": Command("train both stages", _train_options, _train),
    "train-dlp": Command("train stage 1: frames to particles", _train_dlp_options, _train_dlp),
    "train-dynamics": Command(
        "train stage 2: particles to their future", _train_dynamics_options, _train_dynamics
    ),
    "rollout": Command("forecast videos", _rollout_options, _rollout),
    "evaluate": Command("measure forecasts beside baselines", _forecast_options, _evaluate),
    "evaluate-dlp": Command("measure stage 1 alone", _evaluate_part_options, _evaluate_dlp),
    "evaluate-tracking": Command(
        "measure identity alone", _evaluate_part_options, _evaluate_tracking
    ),
    "make-data": Command("make a synthetic world's videos", _make_data_options, _make_data),
    "demo": Command("all of it, on a small synthetic set", _demo_options, _demo),
    "bench": Command("measure speed and memory of stage 1", _bench_options, _bench),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status.

    0: done. 2: a mistake of the user's, told in one line. 130, 143: stopped by Ctrl-C, SIGTERM.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not words or words[0] in ("-h", "--help", "help"):
            print(_overview())
            return 0 if words else 2
        if words[0] == "--version":
            print(f"particlecast {version('particlecast')}")
            return 0
        if words[0] not in COMMANDS:
            raise UserError(f"no command {words[0]!r}: choose from {', '.join(COMMANDS)}")
        COMMANDS[words[0]].run(parse(words[0], COMMANDS[words[0]], words[1:]))
    except UserError as error:
        print(f"particlecast: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except Interrupted as stop:
        print(f"particlecast: {stop}", file=sys.stderr)
        return 128 + stop.signum
    except KeyboardInterrupt:
        print("particlecast: stopped; what was finished is kept", file=sys.stderr)
        return 130
    return 0


def _overview() -> str:
    """The help of the whole."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: particlecast COMMAND [OPTIONS]",
            "",
            "A video goes in, its predicted future comes out.",
            "",
            *lines,
            "",
            "particlecast COMMAND --help tells the options of each.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
