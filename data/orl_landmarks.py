"""Five landmarks on each s*/*.png of a folder, as JSON on stdout; run by `data.orl_make`.

It imports nothing of ours: it runs where mediapipe is installed, and that is not here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import mediapipe
import numpy as np

CORNERS = ((33, 133), (362, 263), (1,), (61,), (291,))
"""Of the face mesh: an eye is the middle between its corners; then the nose's tip, the mouth's
corners. Left is left in the picture."""
ENLARGED = 4  # the detector was trained on larger faces


def main(folder: Path) -> None:
    """Annotate a folder."""
    found = {}
    with mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True, max_num_faces=1, min_detection_confidence=0.2
    ) as mesh:
        for path in sorted(folder.glob("s*/*.png")):
            stored = cv2.imread(str(path))
            if stored is None:
                sys.exit(f"cannot be read: {path}")
            small = cv2.cvtColor(stored, cv2.COLOR_BGR2RGB)
            large = cv2.resize(small, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
            faces = mesh.process(large).multi_face_landmarks
            if not faces:
                continue
            height, width = small.shape[:2]
            points = np.array([[mark.x * width, mark.y * height] for mark in faces[0].landmark])
            middle = [points[list(corners)].mean(0) - 0.5 for corners in CORNERS]
            found[path.relative_to(folder).as_posix()] = np.array(middle).tolist()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
