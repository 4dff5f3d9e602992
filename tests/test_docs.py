"""What the docs tell a reader to run does run, and what they link to is there."""

import re
from pathlib import Path

import av
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

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
    for name in ("as_it_is.mp4", "pushed.mp4"):
        with av.open(name) as container:
            films.append(
                np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
            )
    assert films[0].shape == films[1].shape == (20, 64, 64, 3)
    apart = np.abs(films[0].astype(int) - films[1]).max(-1)
    assert apart[-1].max() > 40
    still = (apart > 40).any(0).mean()  # one car's way, not the whole street
    assert still < 0.4


def test_the_tutorial_runs_and_shows_what_it_made(tmp_path: Path) -> None:
    notebook = nbformat.read(REPOSITORY / "docs/tutorial.ipynb", as_version=4)
    nbformat.validate(notebook)
    kept = [kinds(cell) for cell in notebook.cells]
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    made = [kinds(cell) for cell in notebook.cells]
    assert made == kept
    assert sum("image/png" in each for each in made) == 1
    assert sum("image/gif" in each for each in made) == 1


def kinds(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell shows, by its kind, without what is mere warning."""
    shown = [output for output in cell.get("outputs", []) if output.get("name") != "stderr"]
    return sorted(
        {kind for output in shown for kind in output.get("data", {"stream": ""}) if kind}
        - {"text/plain"}
    )
