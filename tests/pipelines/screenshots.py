"""Pictures of the page, such as the README's.

python -m tests.pipelines.screenshots OUT.png --run RUN [--data SOURCE]
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from tests.pipelines.browser import Place, Sight, chromium, explored

STEP, HORIZON, SAMPLES = 12, 20, 8


def story(sight: Sight, moved: int, by: Place, pushed: int, push: Place) -> None:
    """One particle is moved, another pushed, and both futures stand still at the same step."""
    x, y = sight.particles[moved]
    sight.drag((x, y), (x + by[0], y + by[1]))
    x, y = sight.particles[pushed]
    sight.drag((x, y), (x + push[0], y + push[1]), key="Alt")
    sight.roll_out(HORIZON, SAMPLES)
    sight.tab.check("#show-edges")
    sight.scrub(STEP)
    sight.tab.mouse.move(0, 0)


def main(out: Path, *words: str) -> None:
    """Tell the story on a run's own clip, and keep a picture of it."""
    with explored(*words) as address, chromium() as browser:
        tab = browser.new_page(viewport={"width": 1400, "height": 1000})
        sight = Sight(tab, address).open()
        story(sight, 1, (9, 6), 0, (-8, 6))
        path = sight.shoot(out.stem, out.parent)
    with Image.open(path) as image:  # a picture in a README should be small
        image.convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
