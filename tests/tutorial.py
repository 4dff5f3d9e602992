"""Run the tutorial anew, and keep what it shows now in it.

python -m tests.tutorial docs/tutorial.ipynb
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from pipelines.film import write_whole


def executed(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of today, without warnings and times, run in a folder."""
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources=where, record_timing=False
    )
    client.execute()
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    return notebook


if __name__ == "__main__":
    file = Path(sys.argv[1])
    made = executed(nbformat.read(file, as_version=4), file.parent)
    write_whole(file, nbformat.writes(made).encode())
