import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.report import verdict, write_report
from pipelines.report_words import missing, told, trust
from pipelines.results import LEVELS, EvaluationResult, Scores

HORIZON, VIDEOS = 24, 6


def scores(level: float, seed: int = 0, positions: bool = True) -> Scores:
    wobble = np.random.default_rng(seed).normal(0, 0.1, (VIDEOS, HORIZON))
    decay = np.linspace(0, -4, HORIZON)
    return Scores(
        psnr=level + 8 + decay + wobble,
        ssim=np.clip(level / 30 + decay / 40 + wobble / 100, 0, 1),
        psnr_moving=level + decay + wobble,
        position_error=np.linspace(0.5, 6, HORIZON) + wobble if positions else None,
    )


def outcome(**changes: Any) -> EvaluationResult:
    arguments: dict[str, Any] = {
        "model": scores(22, 0),
        "baselines": {
            "copy-last": scores(15, 1, positions=False),
            "constant velocity of the truth": Scores(position_error=np.ones((VIDEOS, HORIZON))),
        },
        "reconstruction_psnr": np.linspace(36, 38, VIDEOS),
        "particles": {"coverage": np.full(VIDEOS, 0.99), "jitter, px": np.full(VIDEOS, np.nan)},
        "meta": {"data": "synthetic:discs", "seed": 3, "minutes": 1.5},
        "settings": {"dlp.particles": 12, "stage1.text": "two\nlines"},
        "notes": {"LPIPS, alex": "not computed: run particlecast get-weights"},
        **changes,
    }
    return EvaluationResult(**arguments)


def test_the_page_has_each_method_at_the_chosen_steps(tmp_path):
    result = outcome()
    write_report(tmp_path / "out", result)
    page = (tmp_path / "out" / "report.md").read_text()
    assert "| method | step 1 | step 5 | step 10 | step 20 | step 24 | all steps |" in page
    assert result.model.psnr_moving is not None
    at_five = result.model.psnr_moving[:, 4].mean()
    assert re.search(rf"\| \*\*model\*\* \| [\d.]+ \| {at_five:.2f} \|", page)
    assert "| constant velocity of the truth | 1.00 | 1.00 |" in page
    assert "| coverage | 0.990 [0.990, 0.990] |" in page
    assert "| jitter, px | – |" in page
    assert "| LPIPS, alex | not computed: run particlecast get-weights |" in page
    assert "| calibration of sampled futures | not computed: add --samples 20 |" in page
    assert "| data | synthetic:discs |" in page
    ending = page.partition("## Conventions")[2]
    for title, words in told(result).items():
        assert f"- {title}: {words}\n" in ending
    assert "    --dlp.particles 12\n    --stage1.text two lines\n" in page
    for picture in re.findall(r"\]\((\S+\.png)\)", page):
        with Image.open(tmp_path / "out" / picture) as image:
            assert image.size[0] > 400
    assert not list(tmp_path.glob("out/.*"))


def test_the_file_for_programs_holds_every_number_and_no_nan(tmp_path):
    result = outcome()
    write_report(tmp_path, result)

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    summary = json.loads((tmp_path / "report.json").read_text(), parse_constant=refuse)
    copied = summary["per_step"]["psnr"]["methods"]["copy-last"]
    assert np.allclose(copied["per_video"], np.asarray(result.baselines["copy-last"].psnr))
    assert copied["per_step"]["low"][4] <= copied["per_step"]["mean"][4]
    assert copied["per_step"]["mean"][4] <= copied["per_step"]["high"][4]
    assert set(summary["per_step"]["position_error"]["methods"]) == {
        "model",
        "constant velocity of the truth",
    }
    assert summary["particles"]["jitter, px"]["mean"] is None
    assert summary["missing"] == {
        "LPIPS, alex": "not computed: run particlecast get-weights",
        "calibration of sampled futures": "not computed: add --samples 20",
    }
    words = summary["conventions"]
    assert {"PSNR", "SSIM", "Position error of the same particle", "Jitter"} < words.keys()
    assert "FG-mIoU of the particles' segments" not in words  # no masks are known
    assert "1,000 draws of whole videos" in words["Intervals in brackets and bands"]
    assert "the draws' seed is 0" in words["Intervals in brackets and bands"]
    assert summary["meta"]["seed"] == 3
    assert summary["settings"] == {"dlp.particles": 12, "stage1.text": "two\nlines"}


def test_the_calibration_of_samples_is_told_plotted_and_written(tmp_path):
    inside = np.tile(np.array(LEVELS) ** 2, (VIDEOS, 1))
    write_report(tmp_path, outcome(inside=inside))
    page = (tmp_path / "report.md").read_text()
    assert "| the truth is inside | 0.01 | 0.04 | 0.09 |" in page
    with Image.open(tmp_path / "calibration.png") as image:
        assert image.size[0] > 400
    summary = json.loads((tmp_path / "report.json").read_text())["calibration"]
    assert np.allclose(summary["inside"], np.array(LEVELS) ** 2)
    write_report(tmp_path / "without", outcome())
    assert "Calibration" not in (tmp_path / "without" / "report.md").read_text()
    assert not (tmp_path / "without" / "calibration.png").exists()


def test_why_there_is_no_calibration():
    assert "calibration of sampled futures" not in missing(
        outcome(inside=np.ones((VIDEOS, len(LEVELS))))
    )
    (note,) = missing(outcome(notes={}, model=scores(22, positions=False))).values()
    assert note == "not computed: it takes true tracks and --samples 20"
    (note,) = missing(outcome(notes={}, settings={"dynamics.chance": 0})).values()
    assert "foresees one future" in note
    given = {"spread of the samples": "not computed: it takes true tracks"}
    assert missing(outcome(notes=given, model=scores(22, positions=False))) == given


def test_brackets_tell_when_they_are_too_narrow():
    few = {"reconstruction_psnr": np.array([30.0, 31.0, 32.0])}
    assert trust(outcome()).endswith("by bootstrap over videos (or windows of a long one).")
    assert "The windows overlap" in trust(outcome(overlap=True))
    assert "alone" not in trust(outcome(overlap=True))
    assert "They are of 3 videos alone" in trust(outcome(**few))
    assert "They are of 3 windows alone" in trust(outcome(**few, overlap=True))
    assert "no intervals" in trust(outcome(reconstruction_psnr=np.array([30.0])))


def test_the_verdict_says_by_how_much_and_admits_defeat():
    assert re.search(
        r"beats copy-last on moving pixels at step 5: \+6\.92 dB \[6\.8\d, 7\.0\d\]",
        verdict(outcome()),
    )
    assert "beats copy-last in SSIM over all steps: +0.2" in verdict(outcome())
    both = {**outcome().baselines, "optical flow": scores(24), "median background": scores(9)}
    said = verdict(outcome(baselines=both))
    assert "beats copy-last" in said
    assert "does NOT beat optical flow, the best of the other baselines, there: -2.00 dB" in said
    unsure = np.tile([[-1.0], [1.5]], (VIDEOS // 2, 1))  # videos that gain and lose
    model = replace(scores(22), psnr_moving=scores(15, 1).psnr_moving + unsure)
    assert "is not surely better than copy-last on moving pixels" in verdict(outcome(model=model))
    worse = verdict(outcome(model=scores(12)))
    assert worse.count("does NOT beat copy-last") == 2
    assert "on moving pixels at step 5: -3.08 dB" in worse


def test_a_short_horizon_without_truth_and_one_video_still_reports(tmp_path):
    still = Scores(
        psnr=np.full((1, 3), 30.0), ssim=np.full((1, 3), 0.9), psnr_moving=np.full((1, 3), np.nan)
    )
    result = outcome(
        model=still, baselines={"copy-last": still}, reconstruction_psnr=np.array([31.0])
    )
    write_report(tmp_path, result)
    page = (tmp_path / "report.md").read_text()
    assert "There are no intervals: it is a single video." in page
    assert "| method | step 1 | step 3 | all steps |" in page
    assert "Nothing moves at step 3" in page
    assert "does NOT beat copy-last in SSIM over all steps: +0.0000." in page
    assert "Position error of the same particle (" not in page
    assert not (tmp_path / "horizon_position_error.png").exists()


def test_a_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(FileExistsError):
        write_report(tmp_path / "taken", outcome())
    assert (tmp_path / "taken").read_text() == "mine"
