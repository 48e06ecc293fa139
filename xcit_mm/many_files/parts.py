"""Order files by size, and divide them into parts for job arrays."""
from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..files import size_and_time


def largest_first(paths: Sequence[Path]) -> list[Path]:
    """Sort files by falling size, so that no process starts a long one when the others are about to finish.

    Files of the same size are sorted by name; a missing file counts as empty.
    """
    return sorted(paths, key=lambda path: (-size_and_time(path)[0], path))


def part_of(paths: Sequence[Path], part: str | None) -> list[Path]:
    """Return one of n parts of the files, which differ in size by at most the largest file.

    The same files always give the same parts. With more parts than files, some parts are empty.

    Args:
        paths: all files.
        part: ``'i/n'``, with i from 1 to n. Default: all files, in their order.

    Raises:
        InputError: ``part`` is not of this form.
    """
    if part is None:
        return list(paths)
    match = re.fullmatch(r'(\d+)/(\d+)', part, re.ASCII)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise InputError(f'--part must be i/n with i from 1 to n, such as 1/8 … 8/8, but got {part!r}')
    return largest_first(paths)[number - 1::count]
