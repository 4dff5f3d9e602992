"""Is a video file whole? Asked of its container's own byte counts, not of its frame count.

Decoders stop without a word where a file was cut, and the frame count in a header may be a
guess. The byte counts are not: a box, chunk or segment that ends behind the file's end was cut.
"""

from __future__ import annotations

from pathlib import Path

EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"


BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


def known_container(head: bytes) -> bool:
    """Whether a file that begins so is an mp4, mov, avi, mkv, webm or gif, whatever its name."""
    return head[4:8] in BOXES or head[:4] in (b"RIFF", EBML, b"GIF8")


def cut_short(path: Path) -> bool:
    """True if the file ends before its container says (mp4, mov, avi, mkv, webm, gif).

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
        if head[4:8] in BOXES:
            return _boxes_end(path) > size
        if head[:4] == b"RIFF":
            # 0 is what a recorder that crashed leaves behind; such a file still plays.
            return int.from_bytes(head[4:8], "little") + 8 > size
        if head[:4] == EBML:
            return _segment_end(head) > size
        if head[:4] == b"GIF8":
            file.seek(max(0, size - 1024))
            return b"\x00;" not in file.read()
    return False


def _boxes_end(path: Path) -> int:
    """Where the last top-level box of an mp4 or mov file ends; a missing index ends nowhere."""
    size, offset, names = path.stat().st_size, 0, set()
    with path.open("rb") as file:
        while offset + 8 <= size:
            file.seek(offset)
            header = file.read(16)
            length, name = int.from_bytes(header[:4], "big"), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:], "big")
            elif length == 0:  # "until the end of the file"
                length = size - offset
            if length < 8:
                break
            names.add(name)
            offset += length
    # The index (moov) is mostly written last, so a recording cut between boxes lacks it.
    return offset if b"moov" in names else size + 1


def _segment_end(head: bytes) -> int:
    """Where the Segment of an mkv or webm file ends; 0 if its length is left open (a stream)."""
    start = head.find(SEGMENT) + len(SEGMENT)
    if start < len(SEGMENT) or start >= len(head) or head[start] == 0:
        return 0
    # A length of n bytes opens with n - 1 zero bits and a one; all ones: unknown.
    width = 9 - head[start].bit_length()
    bits = 7 * width
    length = int.from_bytes(head[start : start + width], "big") & ((1 << bits) - 1)
    return 0 if length == (1 << bits) - 1 else start + width + length
