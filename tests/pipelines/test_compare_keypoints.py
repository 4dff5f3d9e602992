"""Landmark models side by side: what is run, what is not run again, and the table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from data.errors import UserError
from pipelines.compare_keypoints import CASES, compare
from pipelines.marks import BEGIN, END


def test_each_case_is_trained_and_measured_once_and_told(tmp_path: Path) -> None:
    said: list[Sequence[str]] = []

    def run(words: Sequence[str]) -> None:
        said.append(words)
        if words[0] != "regress-keypoints":
            return
        out = Path(words[words.index("--out") + 1])
        out.mkdir(parents=True)
        seed = int(out.parent.name)
        inputs = {"positions": 5.0 + seed, "and variances": 4.0, "and features": 3.0}
        names = ("step", "mean_log_variance", "validation_error", "test_error")
        figures: list[tuple[float | None, ...]] = [
            (4, -6, 9.5, 9.0),
            (5, -5, 9.0, 8.0),
            (10, -4, 7.0, 6.0),
        ]
        if "zhang" in str(out):
            figures = [(step, None, *errors) for step, _, *errors in figures]
        rows = [dict(zip(names, row, strict=True)) for row in figures]
        found = {"by_inputs": inputs | {"and both": 2.0}, "checkpoints": rows}
        found["machine"] = {"machine": "abacus", "cores": 2, "commit": f"c{seed}"}
        (out / "keypoints.json").write_text(json.dumps(found))

    length = ("--max-steps", "10")
    text = compare(tmp_path, "synthetic:faces", length, seeds=2, run=run)
    assert len(said) == 2 * 2 * len(CASES)
    first = said[0]
    assert first[:3] == ("train-dlp", "--data", "synthetic:faces")
    assert "--resume" in first
    assert first[first.index("--max-steps") + 1] == "10"
    assert next(words for words in said if "keynet" in words)[-2:] == ("--dlp.model", "keynet")
    free = [words for words in said if "ordered" in words]
    assert free
    assert all(words[words.index("--dlp.paper.equivariance") + 1] == "0" for words in free)
    row = "5.50 (5.00 to 6.00) | 4.00 (4.00 to 4.00) | 3.00 (3.00 to 3.00) | 2.00 (2.00 to 2.00)"
    assert f"| keynet | steps 10 | 2 | {row} | 8.00 (8.00 to 8.00) | 6.00 (6.00 to 6.00) |" in text
    assert f"| zhang | steps 10 | 2 | {row} | - | 6.00 (6.00 to 6.00) |" in text
    assert text.endswith("\nTrained at commit unknown; measured at c0, c1, on abacus, 2 cores.\n")
    assert (tmp_path / "keypoints.md").read_text() == text
    compare(tmp_path, "synthetic:faces", length, seeds=2, run=run)
    assert len(said) == 2 * 2 * len(CASES)
    for other, told in (
        (("synthetic:faces", ("--max-steps", "20")), "length --max-steps 10, this is with --max-s"),
        (("orl", length), "data synthetic:faces, this is with orl: .* another --out"),
    ):
        with pytest.raises(UserError, match=f"masked/0 was trained with {told}"):
            compare(tmp_path, *other, seeds=3, run=run)
    with pytest.raises(UserError, match=r"options none, this is with --dlp.width 8"):
        compare(tmp_path, "synthetic:faces", length, 3, "", ("--dlp.width", "8"), run)
    assert len(said) == 2 * 2 * len(CASES)
    assert (tmp_path / "keypoints.md").read_text() == text
    with pytest.raises(UserError, match="no such case"):
        compare(tmp_path, "synthetic:faces", length, seeds=1, only="cubes", run=run)

    # Each case's own steps, and a page that keeps the table.
    page, others = tmp_path / "faces.md", tmp_path / "others"
    page.write_text("no place")
    with pytest.raises(UserError, match="has no place for the results"):
        compare(others, "synthetic:faces", (), 1, run=run, kept=page)
    page.write_text(f"before {BEGIN} old {END} after")
    text = compare(others, "synthetic:faces", (), 1, run=run, kept=page)
    assert "| keynet | steps 2650 | 1 |" in text
    trained = [words for words in said if words[0] == "train-dlp"][-len(CASES) :]
    steps = [int(words[words.index("--max-steps") + 1]) for words in trained]
    assert steps == [steps for steps, _ in CASES.values()]
    assert page.read_text() == f"before {BEGIN}\n\n{text}\n{END} after"
