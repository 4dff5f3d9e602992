import re
import shutil
from math import isfinite, isnan, nan
from pathlib import Path

import pytest
import torch

from dynamics.tracks import track
from dynamics.windows import gather, window_starts
from pipelines.encode import encode_frames
from pipelines.fine_tune import judged
from pipelines.frames import to_tensor
from pipelines.joint import SHOWN, JointStage, observed_state
from pipelines.load import load_dlp, load_dynamics, open_data
from pipelines.provenance import trained
from tests.pipelines.commands import Trained, clips, particlecast, refused

JOINT = ("--joint.batch", "2", "--joint.evaluate_every", "2")
WORSE = "NOT better: keep the run that it began with"


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Both stages' weights as the commands load them."""
    dlp = load_dlp(run)
    first = {f"dlp.{k}": v for k, v in dlp.model.state_dict().items()}  # type: ignore[attr-defined]
    return first | load_dynamics(run, dlp).state_dict()


@pytest.fixture(scope="module")
def tuned(tiny: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned") / "run"
    particlecast("fine-tune", *tiny.on(), "--out", out, "--max-steps", 4, *JOINT)
    return out


def test_both_stages_change_and_come_out_as_a_run_of_their_own(
    tiny: Trained, tuned: Path, tmp_path: Path
) -> None:
    before, after = weights(tiny.run), weights(tuned)
    for part in ("dlp.encoder", "dlp.prior", "dlp.decoder", "head", "rounds"):
        changed = [not torch.equal(before[k], v) for k, v in after.items() if k.startswith(part)]
        assert any(changed), part
    out = tmp_path / "forecast"
    lengths = ("--context", 8, "--horizon", 5, "--limit", 1)
    particlecast("rollout", "--data", tiny.data, "--run", tuned, "--out", out, *lengths)
    assert len(list(out.glob("*.npz"))) == 1
    told = {stage: f"{words}, fine-tuned steps 4" for stage, words in trained(tiny.run).items()}
    assert trained(tuned) == told


def test_the_run_that_it_began_with_is_left_as_it_was(tiny: Trained, tmp_path: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in tiny.run.rglob("*") if p.is_file()}
    out = tmp_path / "out"
    particlecast("fine-tune", *tiny.on(), "--out", out, "--max-steps", 1, *JOINT)
    after = {p: p.stat().st_mtime_ns for p in tiny.run.rglob("*") if p.is_file()}
    assert after == before


def test_it_resumes_bit_for_bit(tiny: Trained, tuned: Path, tmp_path: Path) -> None:
    halves = shutil.copytree(tuned, tmp_path / "halves", symlinks=True)
    shutil.rmtree(halves / "joint" / "checkpoints" / "step_00000004")
    particlecast("fine-tune", *tiny.on(), "--out", halves, "--max-steps", 4, *JOINT, "--resume")
    one = torch.load(last(tuned), weights_only=True)["optimizer"]
    two = torch.load(last(halves), weights_only=True)["optimizer"]
    assert one.keys() == two.keys()
    for key, moments in one.items():
        assert torch.equal(moments["exp_avg"], two[key]["exp_avg"])
    whole, resumed = (last(run).with_name("model.safetensors") for run in (tuned, halves))
    assert resumed.read_bytes() == whole.read_bytes()


def last(run: Path) -> Path:
    """The training state of the joint run's fourth step, its last."""
    assert (run / "joint" / "checkpoints" / "last").resolve().name == "step_00000004"
    return run / "joint" / "checkpoints" / "last" / "training_state.pt"


def test_its_own_folder_is_no_place_to_write(
    tiny: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "fine-tune", *tiny.on(), "--out", tiny.run, "--max-steps", 1)
    assert "choose another folder" in said


def test_the_state_is_what_the_encoder_finds_and_takes_gradients(tiny: Trained) -> None:
    dlp = load_dlp(tiny.run)
    video = open_data(str(tiny.data), dlp.frames).train[0]
    tracks = track(encode_frames(dlp.model, video.frames), dlp.model.size)
    window = gather([tracks], torch.tensor([[0, 0]]), 4, 2, dlp.model.config.particles)
    frames = to_tensor(video.frames[:4])[None].requires_grad_()
    state = observed_state(dlp.model, window.state, frames)
    seen = window.state.seen > 0
    # The tracks were found by this very encoder, so that nothing moves.
    assert torch.allclose(state.position[seen], window.state.position[seen], atol=1e-4)
    assert seen.any()
    alive = window.state.alive
    assert torch.allclose(state.code[alive], window.state.code[alive], atol=1e-4)
    assert torch.equal(state.seen, window.state.seen)
    state.position[seen].sum().backward()
    assert frames.grad is not None
    assert frames.grad.abs().max() > 0


def test_a_folder_that_holds_another_run_is_no_place_either(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.read_bytes() for p in own.run.rglob("*.safetensors")}
    words = ("--data", own.data, "--run", own.run, "--max-steps", 1)
    other = shutil.copytree(own.run, tmp_path / "other", symlinks=True)
    assert "has a stage 1 already" in refused(capsys, "fine-tune", *words, "--out", other)
    assert {other / p.relative_to(own.run): x for p, x in before.items()} == {
        p: p.read_bytes() for p in other.rglob("*.safetensors")
    }


def test_another_source_is_refused(
    tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips(tmp_path / "other.npy", videos=3)
    out = ("--out", tmp_path / "out", "--max-steps", 1)
    said = refused(capsys, "fine-tune", *tiny.on(tmp_path / "other.npy"), *out)
    assert "is not what" in said


def verdict(said: str) -> tuple[float, float, str]:
    """The dB before and after, and what is said of them."""
    found = re.search(r"step 4: (\S+) dB before, (\S+) dB after, (.*)", said)
    assert found is not None
    return float(found[1]), float(found[2]), found[3]


def test_it_says_whether_it_got_better(
    tiny: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fast = (*JOINT, "--joint.learning_rate", 0.02, "--joint.warmup_steps", 1)
    particlecast("fine-tune", *tiny.on(), "--out", tmp_path / "out", "--max-steps", 4, *fast)
    before, after, words = verdict(capsys.readouterr().err)
    assert before != after
    assert words == ("better" if after > before else WORSE)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (20.0, 21.0, "better"),
        (21.0, 20.0, WORSE),
        (20.001, 20.004, WORSE),
        (nan, nan, "too little is held out to tell"),
    ],
)
def test_the_verdict_is_of_what_was_judged_before_and_after(
    tiny: Trained,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    before: float,
    after: float,
    said: str,
) -> None:
    scores = iter([before, after])
    monkeypatch.setattr("pipelines.fine_tune.judged", lambda stage: next(scores))
    particlecast("fine-tune", *tiny.on(), "--out", tmp_path / "out", "--max-steps", 1, *JOINT)
    *printed, words = verdict(capsys.readouterr().err)
    assert printed == pytest.approx([before, after], abs=0.01, nan_ok=True)
    assert words == said


def test_the_windows_that_judge_are_not_those_that_chose(
    tiny: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    dlp = load_dlp(tiny.run)
    dataset = open_data(str(tiny.data), dlp.frames)
    tracks = [track(encode_frames(dlp.model, dataset.val[0].frames), dlp.model.size)]
    stage = JointStage(dlp, load_dynamics(tiny.run, dlp), dataset, tracks, tracks * 3, size=2)
    drawn: list[list[list[int]]] = []

    def score(starts: torch.Tensor) -> dict[str, float]:
        drawn.append(starts.tolist())
        return {stage.best_key: 0.0}

    monkeypatch.setattr(stage, "score", score)
    stage.evaluate(1)
    judged(stage)
    chose, judge = drawn
    assert len(chose) == len(judge) == SHOWN // 2
    both = sorted(chose + judge)
    assert both == chose + judge  # one half each, none twice
    every = window_starts(tracks * 3, stage.history, stage.horizon).tolist()
    assert [both[0], both[-1]] == [every[0], every[-1]]


def test_of_no_windows_there_is_no_score(tiny: Trained) -> None:
    dlp = load_dlp(tiny.run)
    dataset = open_data(str(tiny.data), dlp.frames)
    tracks = [track(encode_frames(dlp.model, dataset.val[0].frames), dlp.model.size)]
    stage = JointStage(dlp, load_dynamics(tiny.run, dlp), dataset, tracks, tracks, size=2)
    assert isfinite(judged(stage))
    stage.unchosen = stage.unchosen[:0]
    assert isnan(judged(stage))
