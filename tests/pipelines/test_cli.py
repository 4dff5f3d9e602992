from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from data.errors import UserError
from data.frames import FrameConfig
from dlp.config import DLPConfig
from dynamics.config import DynamicsConfig
from pipelines.cli import main
from pipelines.commands import COMMANDS
from pipelines.config import (
    STAGE1,
    STAGE2,
    EngineConfig,
    build,
    choose_preset,
    load_preset,
    plain,
    presets,
)
from pipelines.signals import Interrupted

GROUPS: dict[str, type] = {
    "frames": FrameConfig,
    "dlp": DLPConfig,
    "stage1": EngineConfig,
    "dynamics": DynamicsConfig,
    "stage2": EngineConfig,
}
SOURCE = ["--data", "clips", "--run", "runs/x"]


class Recorder:
    """Stands in for every pipeline and keeps what the command line calls it with."""

    def __init__(self) -> None:
        self.arguments: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}
        self.error: BaseException | None = None

    def __call__(self, *arguments: Any, **options: Any) -> None:
        self.arguments, self.options = arguments, options
        if self.error is not None:
            raise self.error


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    for name in ("train", "train_dlp", "train_dynamics", "rollout", "demo"):
        module = ModuleType(f"pipelines.{name}")
        setattr(module, name, recorder)
        monkeypatch.setitem(sys.modules, f"pipelines.{name}", module)
    compare = ModuleType("pipelines.compare_runs")
    compare.evaluate_all = recorder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pipelines.compare_runs", compare)
    made = ModuleType("data.make")
    made.make_data = recorder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "data.make", made)
    return recorder


def complaint(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """The one line that a mistake gives."""
    assert main(words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("particlecast: error: ")
    assert output.err.count("\n") == 1
    return output.err


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in [
        "train",
        "train-dlp",
        "train-dynamics",
        "rollout",
        "evaluate",
        "make-data",
        "demo",
    ]:
        assert f"  {name} " in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_line_of_help(name: str) -> None:
    from jsonargparse import ArgumentParser, set_parsing_settings

    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser()
    COMMANDS[name].options(parser)
    assert [action.dest for action in parser._actions if not (action.help or "").strip()] == []
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"]])
def test_help_does_not_load_torch(words: list[str]) -> None:
    program = "import sys, pipelines.cli as c, contextlib\n"
    program += f"with contextlib.suppress(SystemExit): c.main({words})\n"
    program += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def test_train_dlp_gets_its_configs(called: Recorder) -> None:
    words = ["--frames.crop", "[1,2,30,40]", "--dlp.particles", "9", "--stage1.batch", "8"]
    words += ["--max-steps", "3", "--resume", "--seed", "5"]
    assert main(["train-dlp", *SOURCE, *words]) == 0
    assert called.arguments == (
        "clips",
        Path("runs/x"),
        FrameConfig(crop=(1, 2, 30, 40)),
        DLPConfig(**{**load_preset("video")["dlp"], "particles": 9}),
        replace(STAGE1, batch=8),
    )
    expected = {"max_minutes": None, "max_steps": 3, "resume": True, "seed": 5}
    assert called.options == expected


def test_train_gets_both_stages(called: Recorder) -> None:
    words = ["--stage2.batch", "8", "--dynamics.conv", "gcn", "--max-minutes", "4.5"]
    assert main(["train", *SOURCE, *words]) == 0
    assert called.arguments[4:] == (
        STAGE1,
        DynamicsConfig(conv="gcn"),
        replace(STAGE2, batch=8),
    )
    assert called.options == {"max_minutes": 4.5, "resume": False, "seed": 0}


def test_train_dynamics_rollout_evaluate_demo_and_make_data_get_theirs(called: Recorder) -> None:
    assert main(["train-dynamics", *SOURCE]) == 0
    assert called.arguments == ("clips", Path("runs/x"), DynamicsConfig(), STAGE2)
    assert called.options["max_minutes"] == 10
    lengths = ["--context", "4", "--horizon", "6", "--out", "o"]
    assert main(["evaluate", *SOURCE, *lengths]) == 0
    assert called.arguments == ("clips", [Path("runs/x")])
    expected = {"context": 4, "horizon": 6, "out": Path("o"), "limit": 0, "particles": 0}
    expected |= {"samples": 0, "seed": 0, "births": True}
    assert called.options == {**expected, "lpips": "alex", "fvd": None}
    assert main(["evaluate", *SOURCE, *lengths, "--run", "runs/y"]) == 0
    assert called.arguments == ("clips", [Path("runs/x"), Path("runs/y")])
    assert main(["rollout", *SOURCE, *lengths, "--limit", "2", "--start", "3"]) == 0
    assert called.options == {**expected, "limit": 2, "start": 3}
    for command in ("rollout", "evaluate"):
        assert main([command, *SOURCE, *lengths, "--samples", "5", "--seed", "7"]) == 0
        assert (called.options["samples"], called.options["seed"]) == (5, 7)
    assert main(["demo"]) == 0
    assert called.arguments == (Path("runs/demo"),)
    sizes = ["--videos", "2", "--frames", "3", "--size", "32", "--seed", "4"]
    assert main(["make-data", "billiards", "o", *sizes]) == 0
    assert called.arguments == ("billiards", Path("o"))
    del called.options["progress"]
    expected = {"videos": 2, "frames": 3, "size": 32, "seed": 4, "physics": "plain"}
    assert called.options == expected


def test_the_command_line_beats_the_file_beats_the_preset_beats_the_default(
    called: Recorder, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("preset: traffic\ndlp:\n  n_prior: 33\n  features: 7\n")
    main(["train-dlp", *SOURCE, "--config", str(file), "--dlp.features", "6"])
    frames, dlp = called.arguments[2:4]
    preset = load_preset("traffic")
    assert frames.size == preset["frames"]["size"] != FrameConfig().size
    assert dlp.particles == preset["dlp"]["particles"] != DLPConfig().particles
    assert (dlp.n_prior, dlp.features) == (33, 6)
    assert dlp.beta_kl == preset["dlp"].get("beta_kl", DLPConfig().beta_kl)


def test_the_printed_config_gives_the_same_run_again(
    called: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--data", "synthetic:shapes", "--run", "r", "--stage2.clip", ".inf"]
    with pytest.raises(SystemExit):
        main([*words, "--print_config"])
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out)
    assert main(words) == 0
    first = called.arguments, called.options
    assert main(["train", "--config", str(file)]) == 0
    assert (called.arguments, called.options) == first


@pytest.mark.parametrize("name", presets())
def test_every_preset_changes_known_settings_and_says_what_for(name: str) -> None:
    for group, values in load_preset(name).items():
        start = {"stage1": STAGE1, "stage2": STAGE2}.get(group, GROUPS[group]())
        assert build(GROUPS[group], plain(start) | values, name) != start, group
    text = (Path(__file__).parents[2] / "pipelines/presets" / f"{name}.yaml").read_text()
    assert text.startswith("# ")
    assert "eproduces" in text.split("\n\n")[0]


def test_a_world_gets_its_own_preset_and_other_sources_the_plain_one() -> None:
    worlds = ("traffic", "clevrer", "billiards", "shapes")
    chosen = [choose_preset("auto", f"synthetic:{world}") for world in worlds]
    assert chosen == [f"{world}-world" for world in worlds]
    assert choose_preset("auto", "synthetic:traffic,videos=9") == "traffic-world"
    for source in ("traffic", "synthetic:", "synthetic:mars", "a.mp4"):
        assert choose_preset("auto", source) == "video"
    assert choose_preset("clevrer", "synthetic:traffic") == "clevrer"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fly"], "no command 'fly': choose from train, train-dlp"),
        (["train-dlp"], "required: data, run (see particlecast train-dlp --help)"),
        (["train-dlp", *SOURCE, "--preset", "mars"], "no preset 'mars': --preset takes auto, bil"),
        (["train-dlp", *SOURCE, "--max-minutes", "0"], "--max-minutes must be above 0, found 0"),
        (["train-dlp", *SOURCE, "--max-minutes", ".nan"], "--max-minutes must be above 0"),
        (["train-dlp", *SOURCE, "--max-steps", "0"], "--max-steps must be at least 1, found 0"),
        (["train-dlp", *SOURCE, "--max-steps", "2", "--max-minutes", "2"], "give one of them"),
        (["train-dlp", *SOURCE, "--max-st", "2"], "unrecognized arguments: --max-st 2"),
        (["train-dlp", *SOURCE, "--dlp.particle", "2"], "unrecognized arguments"),
        (["train-dlp", *SOURCE, "--dlp.particles", "x"], "--dlp.particles: Expected an int. Got"),
        (["train-dlp", *SOURCE, "--dlp.particles", "0"], "dlp.particles must be at least 1"),
        (["train-dlp", *SOURCE, "--stage1.clip", "-1"], "clip must be above 0, found -1"),
        (["train-dlp", *SOURCE, "--frames.crop", "[1]"], "--frames.crop: Expected one of: tuple"),
        (["train-dlp", *SOURCE, "--config", "no.yaml"], "--config: File does not exist"),
        (["train-dlp", *SOURCE, "--config"], "--config: expected one argument"),
        (["rollout", *SOURCE, "--context", "0", "--horizon", "1", "--out", "o"], "--context must"),
        (["make-data", "traffic", "o", "--videos", "0"], "--videos must be at least 1, found 0"),
        (["demo", "--max-minutes", "-3"], "--max-minutes must be above 0"),
    ],
)
def test_a_mistake_is_one_readable_line(
    called: Recorder, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert said in complaint(capsys, words)
    assert called.arguments == ()


@pytest.mark.parametrize("text", ["dlp: {particle: 3}", "nonsense: 3", "- 1", "dlp: [", "\x00"])
def test_a_bad_config_file_is_one_readable_line(
    called: Recorder, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    complaint(capsys, ["train-dlp", *SOURCE, "--config", str(file)])
    assert called.arguments == ()


def test_what_a_pipeline_raises_becomes_a_status(
    called: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    called.error = UserError("clips: no such file: mend --data")
    line = complaint(capsys, ["train", *SOURCE])
    assert line == "particlecast: error: clips: no such file: mend --data\n"
    for error, status in (
        (Interrupted("stopped at step 3: --resume to go on", signal.SIGINT), 130),
        (Interrupted("stopped at step 3: --resume to go on", signal.SIGTERM), 143),
        (KeyboardInterrupt(), 130),
    ):
        called.error = error
        assert main(["train", *SOURCE]) == status
        assert capsys.readouterr().err.startswith("particlecast: stopped")
    called.error = ZeroDivisionError("a fault of the program's own")
    with pytest.raises(ZeroDivisionError):
        main(["train", *SOURCE])


def test_configs_survive_json_and_strangers_are_refused() -> None:
    config = FrameConfig(crop=(0, 1, 8, 9), size=64)
    assert build(FrameConfig, plain(config), "config.json") == config
    assert yaml.safe_load(yaml.safe_dump(plain(config))) == plain(config)
    for values, said in [
        ({"sizes": 3}, "config.json: unknown setting 'sizes'"),
        ({"size": "large"}, "config.json: .*size"),
        ({"size": 3}, "config.json: size must be 0 or from 8 to 4096"),
        ([1], "config.json: expected names and values, found list"),
    ]:
        with pytest.raises(UserError, match=said):
            build(FrameConfig, values, "config.json")


def test_devices_are_told_once_for_all_stages(
    called: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--data", "synthetic:shapes", "--run", "r"]
    assert main([*words, "--devices", "2", "--accelerator", "cpu"]) == 0
    stages = [one for one in called.arguments if isinstance(one, EngineConfig)]
    assert [(one.devices, one.accelerator) for one in stages] == [(2, "cpu")] * 2
    assert main([*words, "--stage2.devices", "3"]) == 0
    assert [one.devices for one in called.arguments if isinstance(one, EngineConfig)] == [1, 3]
    assert "devices must be at least 1, found 0" in complaint(capsys, [*words, "--devices", "0"])
