"""What the docs tell a reader to run does run, and what they link to is there."""

import re
from copy import deepcopy
from pathlib import Path

import av
import nbformat
import numpy as np
import pytest

from tests.tutorial import executed

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    missing = [x for x in links if "://" not in x and not (page.parent / x).exists()]
    assert missing == []


def test_the_ten_lines_write_two_different_futures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/api.md").read_text(), re.S)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/api.md", "exec"), {})
    films = []
    for name in ("as_it_is.mp4", "moved.mp4"):
        with av.open(name) as container:
            films.append(
                np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
            )
    assert films[0].shape == films[1].shape
    assert len(films[0]) == 30
    apart = np.abs(films[0].astype(int) - films[1]).max(-1) > 40
    third = apart.shape[2] // 3
    inside = (slice(i * third + 16, (i + 1) * third - 16) for i in range(3))  # borders blur
    truth, prediction, particles = (apart[..., columns] for columns in inside)
    assert not apart[:10].any()  # both begin with what was seen
    assert not truth.any()
    assert particles[-1].any()
    assert prediction[-1].any()
    assert prediction.any(0).mean() < 0.4  # one car's way, not the whole street


def test_the_tutorial_shows_what_it_makes_today(tmp_path: Path) -> None:
    notebook = nbformat.read(REPOSITORY / "docs/tutorial.ipynb", as_version=4)
    nbformat.validate(notebook)
    kept = deepcopy(notebook.cells)
    made = executed(notebook, tmp_path).cells
    assert [kinds(cell) for cell in made] == [kinds(cell) for cell in kept]
    assert sum("image/png" in kinds(cell) for cell in made) == 1
    assert sum("image/gif" in kinds(cell) for cell in made) == 1
    (words, numbers), (words_kept, numbers_kept) = said(made), said(kept)
    assert words == words_kept  # else: python -m tests.tutorial docs/tutorial.ipynb
    assert numbers == pytest.approx(numbers_kept, abs=0.11)


def kinds(cell: nbformat.NotebookNode) -> set[str]:
    """What a cell shows, by its kind."""
    shown = (output.get("data", {"stream": ""}) for output in cell.get("outputs", []))
    return {kind for data in shown for kind in data} - {"text/plain"}


def said(cells: list[nbformat.NotebookNode]) -> tuple[list[str], list[float]]:
    """What all cells print: the words, and the numbers between them."""
    text = "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))
    number = r"[-+]?\d+(?:\.\d+)?"
    return re.sub(number, "#", text).split(), [float(one) for one in re.findall(number, text)]
