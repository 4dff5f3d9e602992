"""Text that is kept between two marks of a Markdown file such as the README."""

from __future__ import annotations

from pathlib import Path

from data.errors import UserError
from pipelines.film import write_whole

BEGIN, END = "<!-- results: written by make results -->", "<!-- /results -->"


def place(file: Path, new: str = "") -> tuple[str, str]:
    """What stands before and after a file's marks.

    Args:
        file: Markdown.
        new: what stands for the file, with its marks, if there is none; "": there must be one.

    Raises:
        UserError: it cannot be read, or has not each mark once.
    """
    try:
        whole = new if new and not file.exists() else file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or whole.count(BEGIN) + whole.count(END) != 2:
        raise UserError(
            f"{file}: has no place for the results: put the lines {BEGIN} and {END} once, where "
            "they are to be"
        )
    return before, after


def fill(file: Path, text: str, new: str = "") -> None:
    """Put text between a file's marks, in place of what was there; new as in `place`.

    Raises:
        UserError: as from `place`.
    """
    before, after = place(file, new)
    write_whole(file, f"{before}{BEGIN}\n\n{text}\n{END}{after}".encode())
