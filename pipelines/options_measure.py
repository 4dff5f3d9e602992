"""The options of the commands that measure."""

from __future__ import annotations

from jsonargparse import ArgumentParser

from pipelines.options import forecast, more_particles, output, source_and_run, stage2_groups


def ablate(parser: ArgumentParser) -> None:
    """The options of ablate."""
    source_and_run(parser)
    parser.add_argument("--out", type=str, required=True, help="Folder for what is written.")
    parser.add_argument("--max-steps", type=int, default=1500, help="Steps of training, of each.")
    parser.add_argument("--seeds", type=int, default=3, help="Runs of each row.")
    parser.add_argument(
        "--page", type=str, default="", help="A Markdown file that keeps the table between marks."
    )
    parser.add_argument(
        "--only",
        type=str,
        default="",
        help="Rows whose name holds this text, or one of several with commas between.",
    )
    stage2_groups(parser)


def evaluate(parser: ArgumentParser) -> None:
    """The options of evaluate."""
    source_and_run(parser, several=True)
    forecast(parser)
    parser.add_argument(
        "--lpips",
        type=str,
        default="alex",
        help="Trunks of LPIPS: alex, vgg, both or none; they need particlecast get-weights.",
    )
    parser.add_argument(
        "--fvd", type=str, default="", help="I3D as TorchScript, a file of yours, to tell FVD."
    )


def evaluate_part(parser: ArgumentParser) -> None:
    """The options of evaluate-dlp and evaluate-long."""
    source_and_run(parser)
    output(parser)


def evaluate_tracking(parser: ArgumentParser) -> None:
    """The options of evaluate-tracking."""
    evaluate_part(parser)
    more_particles(parser)


def regress_keypoints(parser: ArgumentParser) -> None:
    """The options of regress-keypoints."""
    source_and_run(parser)
    parser.add_argument("--out", type=str, required=True, help="Folder for what is written.")
    parser.add_argument(
        "--with-variance", action="store_true", help="Regress from each log sigma^2 too."
    )
    parser.add_argument(
        "--with-appearance", action="store_true", help="Regress from the features too."
    )
    parser.add_argument(
        "--with-intercept", action="store_true", help="An intercept, which the literature has not."
    )
    parser.add_argument(
        "--train-images", type=int, default=0, help="Images to regress from; 0: all."
    )
    parser.add_argument(
        "--checkpoints", action="store_true", help="Measure every checkpoint that the run keeps."
    )
    _filter(parser)


def _filter(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--filter-confidence",
        type=float,
        default=1.0,
        help="Share of the particles that stay, those of least sigma first, in (0, 1].",
    )


def detect(parser: ArgumentParser) -> None:
    """The options of detect."""
    source_and_run(parser)
    output(parser)
    _filter(parser)
    parser.add_argument(
        "--overlap",
        type=float,
        default=0.5,
        help="Of two boxes with a greater share (of their union) in common, the surer one stays.",
    )


def results(parser: ArgumentParser) -> None:
    """The options of results."""
    parser.add_argument("--out", type=str, default="runs/results", help="Folder of the runs.")
    parser.add_argument("--page", type=str, default="docs/results.md", help="The page to write.")
    parser.add_argument("--seeds", type=int, default=3, help="Runs of each case.")
    parser.add_argument(
        "--only",
        type=str,
        default="",
        help="Cases whose name holds this text, or one of several with commas between.",
    )
    parser.add_argument(
        "--video", type=str, default="", help="A video without true tracks, as one more case."
    )
    parser.add_argument(
        "--pretrained",
        type=str,
        default="",
        help="Folder that keeps the first runs of the moving worlds; of this package: "
        "pipelines/pretrained.",
    )
    parser.add_argument(
        "--readme",
        type=str,
        default="",
        help="A Markdown file that keeps the results in short, between two marks.",
    )


def bench(parser: ArgumentParser) -> None:
    """The options of bench."""
    parser.add_argument("--out", type=str, default="benchmarks", help="Folder for the results.")
    parser.add_argument("--seconds", type=float, default=1.0, help="For each measurement.")
    parser.add_argument(
        "--quick", action="store_true", help="One small configuration: does it work?"
    )
