import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from data.errors import UserError
from pipelines import reproduce as reproduce_module
from pipelines.commands import COMMANDS
from pipelines.marks import BEGIN, END
from pipelines.parsing import parse
from pipelines.provenance import trained
from pipelines.reproduce import CASES, Case, gather, reproduce
from pipelines.reproduce_card import card
from pipelines.runner import command
from pipelines.tables import cell
from tests.pipelines.commands import DLP, DYNAMICS, FRAMES, SIDE, particlecast, refused

MADE = (
    Case("balls", "synthetic:billiards", (300, 1500), horizon=10),
    Case("pictures", "synthetic:shapes", (500, 0)),
    Case("street", "street.mp4", (600, 600), tracks=False),
)


KEPT = [1.0, 0.9, 0.875, None, 0.0]


class Recorder:
    """Does commands by leaving what they would leave; level: of their figures."""

    def __init__(self, fail_at: int = -1) -> None:
        self.said: list[list[str]] = []
        self.fail_at = fail_at

    def __call__(self, words: Sequence[str]) -> None:
        if len(self.said) == self.fail_at:
            raise UserError("no")
        self.said.append(list(words))
        given = dict(pairwise(words))
        if "--out" not in given:
            return
        name, content = self.left(words[0], Path(given["--run"]))
        Path(given["--out"]).mkdir(parents=True, exist_ok=True)
        (Path(given["--out"]) / name).write_text(json.dumps(content))

    def left(self, command: str, run: Path) -> tuple[str, dict[str, Any]]:
        seed = float(run.name)
        told = {"threads": 1, "commit": "abc", "stage 1": "steps 7"}
        meta = {"machine": "abacus", "cores": 2, "python": "3.11", "torch": "2.13", **told}
        if command == "evaluate-dlp":
            figures = {"coverage": {"value": 0.99}, "jitter": {"value": None}}
            return "stage1.json", {"meta": meta, "figures": figures}
        if command == "evaluate-tracking":
            every = {"idf1": 0.9, "mota": 0.8, "switches_per_1000": 1.5}
            return "tracking.json", {
                "meta": meta,
                "linked by": {"coast": {"videos": {"all": every}, "kept_by_hidden": KEPT}},
            }
        if command == "evaluate-long":
            lasting = {"live": [4, 4, 3, 2], "energy": [1.0, 0.9, None, 0.5]}
            return "long.json", {"meta": meta, "sound": seed < 1, "drift": 0.1, **lasting}
        curve = {"per_step": {"mean": [seed + step for step in range(1, 11)]}}
        methods = {"model": curve, "copy-last": curve}
        particles = {"error of the best of 20 samples, px": {"mean": 0.5 + seed}}
        per_step = {"position_error": {"methods": methods}}
        meta = {**meta, "horizon": 10, "windows": 6, "stage 2": "steps 9"}
        return "report.json", {
            "overlap": run.parent.name == "street",
            "meta": meta,
            "per_step": per_step,
            "particles": particles,
        }


def test_every_command_is_one_that_the_command_line_takes(tmp_path: Path) -> None:
    record = Recorder()
    reproduce(tmp_path / "out", tmp_path / "page.md", 1, cases=CASES, run=record)
    for words in record.said:
        parse(words[0], COMMANDS[words[0]], words[1:])


def test_what_is_done_is_not_done_again_and_the_rest_follows(tmp_path: Path) -> None:
    page, first = tmp_path / "page.md", Recorder(fail_at=4)
    with pytest.raises(UserError, match="no"):
        reproduce(tmp_path / "out", page, 2, cases=MADE, run=first)
    again = Recorder()
    reproduce(tmp_path / "out", page, 2, cases=MADE, run=again)
    whole = Recorder()
    reproduce(tmp_path / "other", page, 2, cases=MADE, run=whole)
    folder = str(tmp_path / "out")
    said = [
        [w.replace(folder, str(tmp_path / "other")) for w in x] for x in first.said + again.said
    ]
    assert said == whole.said
    nothing = Recorder()
    reproduce(tmp_path / "out", page, 2, cases=MADE, run=nothing)
    assert nothing.said == []


def test_the_order_and_what_each_case_takes(tmp_path: Path) -> None:
    record = Recorder()
    reproduce(tmp_path / "out", tmp_path / "page.md", 1, cases=MADE, run=record)
    names = [(Path(words[words.index("--run") + 1]).parent.name, words[0]) for words in record.said]
    balls = ["train-dlp", "evaluate-dlp", "train-dynamics", "evaluate", "evaluate-long"]
    balls.append("evaluate-tracking")
    assert names == [
        *(("balls", name) for name in balls),
        *(("pictures", name) for name in balls[:2]),
        *(("street", name) for name in balls[:5]),
    ]


def test_the_page_tells_seeds_means_and_spread(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    reproduce(tmp_path / "out", page, 3, cases=MADE, run=Recorder())
    text = page.read_text()
    assert text.count("| balls | 2 | 300 | 0.990 |") == 1
    assert "### balls: 300 + 1,500 steps" in text
    assert "| Error of the same particle, px, 3 seeds |" in text
    assert (
        "| **model** | 2.00 (1.00 to 3.00) | 6.00 (5.00 to 7.00) | 11.00 (10.00 to 12.00) | – |"
        in text
    )
    assert "| balls | 10 | – | – | 1.50 (0.50 to 2.50) | – |" in text
    assert "| balls | coast | 0.900 | 0.800 | 1.5 | 0.875 |" in text
    lasting = "no | 4.0 | 4.0 | 3.0 | 2.0 | 1.00 | 0.90 | – | 0.50 | 0.10 |"
    assert f"| balls | {lasting}" in text
    assert "Machine: abacus, 2 cores, threads: 1, Python 3.11, torch 2.13." in text
    assert "| balls | 2 | steps 7 | steps 9 | abc |" in text
    assert "| pictures | 2 | steps 7 | – | abc |" in text
    assert "### balls: 300 + 1,500 steps\n\n6 test videos, or windows of one.\n" in text
    assert "### street: 600 + 600 steps\n\n6 windows of its last tenth, which overlap" in text


def test_a_command_has_one_thread_and_tells_that_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    source, run = f"synthetic:shapes,videos=20,frames=1,size={SIDE}", str(tmp_path / "run")
    command(("train-dlp", "--data", source, "--run", run, "--max-steps", "2", *DLP))
    assert "threads 1" in trained(Path(run), ("stage1",))["stage 1"]
    with pytest.raises(UserError, match="train-dlp ended with status 2"):
        command(("train-dlp", "--data", "nothing.mp4", "--run", run))


def test_curves_and_scenes_with_more_things(tmp_path: Path) -> None:
    case = Case("balls", "synthetic:billiards", (3, 5), more=(12,))
    record = Recorder()
    run = tmp_path / "out" / "balls" / "0"
    reproduce(tmp_path / "out", tmp_path / "page.md", 1, cases=[case], run=record)
    (words,) = [words for words in record.said if "synthetic:billiards,objects=12" in words]
    assert words[0] == "evaluate"
    assert words[-1] == str(run / "evaluate-things-12")
    text = (tmp_path / "page.md").read_text()
    assert "| balls | 12 | model | 1.00 | 5.00 | 10.00 | – |" in text
    assert "IDF1, so many times as fast:" in text
    assert f"| balls | coast | {' | '.join(cell(share, 3) for share in KEPT)} |" in text


def test_a_video_is_a_case_of_its_own_and_stays_on_the_page(tmp_path: Path) -> None:
    page, film = tmp_path / "docs" / "page.md", tmp_path / "balls.mp4"
    words = {"cases": MADE, "only": "pictures"}
    record = Recorder()
    with pytest.raises(UserError, match=r"balls\.mp4: no such file"):
        reproduce(tmp_path / "out", page, 1, video=str(film), run=record, **words)  # type: ignore[arg-type]
    assert not record.said
    film.touch()
    reproduce(tmp_path / "out", page, 1, video=str(film), run=record, **words)  # type: ignore[arg-type]
    assert [words[0] for words in record.said] == [
        *("train-dlp", "evaluate-dlp"),
        *("train-dlp", "evaluate-dlp", "train-dynamics", "evaluate", "evaluate-long"),
    ]
    assert (tmp_path / "out" / "video-balls" / "0").is_dir()
    reproduce(tmp_path / "out", page, 1, run=Recorder(), **words)  # type: ignore[arg-type]
    assert "### video-balls: 2,000 + 1,400 steps" in page.read_text()


def test_steps_are_those_that_a_run_was_given(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    reproduce(tmp_path / "out", page, 1, cases=MADE[:1], run=Recorder())
    longer = [Case("balls", "synthetic:billiards", (30, 50))]
    reproduce(tmp_path / "out", page, 1, cases=longer, run=Recorder())
    assert "### balls: 300 + 1,500 steps" in page.read_text()
    (tmp_path / "out" / "balls" / "0_old").mkdir()
    (tmp_path / "out" / "balls" / "0" / "stage1.json").write_text("{")
    with pytest.raises(UserError, match=r"stage1\.json: damaged"):
        reproduce(tmp_path / "out", page, 1, cases=longer, run=Recorder())


def test_a_case_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--out", tmp_path / "out", "--page", tmp_path / "page.md", "--only", "chess")
    assert "no such case" in refused(capsys, "results", *words)
    assert not (tmp_path / "page.md").exists()


def test_a_real_one(tmp_path: Path) -> None:
    world = f"synthetic:billiards,videos=3,frames={FRAMES},size={SIDE}"
    tiny = Case("tiny", world, (2, 2), horizon=4, options=tuple(DLP))

    def run(words: Sequence[str]) -> None:
        small = DYNAMICS if words[0] == "train-dynamics" else []
        particlecast(*words, *small)

    reproduce(tmp_path / "out", tmp_path / "page.md", 1, cases=[tiny], run=run)
    found = gather(tmp_path / "out" / "tiny")["0"]
    assert {"stage1", "tracking", "forecast"} <= found.keys()
    assert all(found[f"trained{n}"]["minutes"] >= 0 for n in (1, 2))
    text = (tmp_path / "page.md").read_text()
    assert "### tiny: 2 + 2 steps" in text
    assert "| tiny | the dynamics model |" in text


def test_a_card_tells_data_commands_figures_and_limits() -> None:
    meta = {"data": "synthetic:billiards", "frame size": "64x64", "windows": 3, "context": 10}
    keys = ("coverage", "precision", "live_per_object", "position_error", "psnr")
    curve = {"per_step": {"mean": [0.5 * step for step in range(1, 21)]}}
    methods = {"methods": {"model": curve, "copy-last": curve}}
    one: dict[str, dict[str, Any]] = {
        "stage1": {"meta": {"videos": 2}, "figures": {key: {"value": 0.875} for key in keys}},
        "forecast": {"meta": meta, "per_step": {"position_error": methods, "psnr": methods}},
    }
    text = card("billiards", one, ["particlecast train-dlp --seed 0"])
    assert "| true objects with a particle | 0.875 |" in text
    assert "| error of the same particle, px: model | 0.50 | 2.50 | 5.00 | 10.00 |" in text
    assert "\n    particlecast train-dlp --seed 0\n" in text
    assert "on all 3, stage 1 on the first 2" in text
    assert "Limits: Elastic balls" in text
    assert "first 2. Made anew by:" in text
    assert "minutes" not in text
    one |= {f"trained{n}": {"commit": "abc", "minutes": 2.5 + n} for n in (1, 2)}
    text = card("billiards", one, [])
    assert "first 2. Made at commit abc; anew by:" in text
    assert "That took 3.5 and 4.5 minutes." in text


def test_the_first_run_of_a_moving_world_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[Path, Path, str]] = []
    monkeypatch.setattr(reproduce_module, "keep", lambda *said: kept.append(said))
    monkeypatch.setattr(reproduce_module, "card", lambda name, one, made: " & ".join(made))
    cases = (Case("traffic", "synthetic:traffic", (3, 5)), *MADE)
    out, home = tmp_path / "out", tmp_path / "home"
    reproduce(out, tmp_path / "p.md", 2, cases=cases, run=Recorder(), pretrained=home)
    first, second = (
        f"particlecast {name} --data synthetic:traffic --run runs/traffic --seed 0 --max-steps {n}"
        for name, n in (("train-dlp", 3), ("train-dynamics", 5))
    )
    assert kept == [(out / "traffic" / "0", home / "traffic", f"{first} & {second}")]


MARKED = f"# A thing\n\n{BEGIN}\nold\n{END}\nafter\n"


def test_the_readme_keeps_the_results_between_its_marks(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(MARKED)
    reproduce(tmp_path / "out", tmp_path / "page.md", 2, cases=MADE, run=Recorder(), readme=readme)
    first = readme.read_text()
    assert first.startswith("# A thing\n")
    assert first.endswith("\nafter\n")
    assert "old" not in first
    assert "| balls | 300 | 2 | 0.990 | – |" in first
    # Seeds 0 and 1 are 5 and 6 pixels off at step 5; nothing is known of step 20.
    assert "| balls | **forecast** | 1.50 (1.00 to 2.00) | 5.50 (5.00 to 6.00) |" in first
    assert "| balls | coast | 0.900 |" in first
    reproduce(tmp_path / "out", tmp_path / "page.md", 2, cases=MADE, run=Recorder(), readme=readme)
    assert readme.read_text() == first


@pytest.mark.parametrize("content", ["no marks\n", f"{BEGIN}\nno end\n", None])
def test_a_readme_without_marks_is_refused_before_anything_is_trained(
    tmp_path: Path, content: str | None
) -> None:
    readme, record = tmp_path / "README.md", Recorder()
    if content is not None:
        readme.write_text(content)
    with pytest.raises(UserError, match=r"README.md: (cannot be read|has no place)"):
        reproduce(tmp_path / "out", tmp_path / "p.md", 1, cases=MADE, run=record, readme=readme)
    assert not record.said
    assert content is None or readme.read_text() == content
