"""Compare the files in a prepared data set with its expected layout."""
from __future__ import annotations

from pathlib import Path


def first_difference(root: Path, layout: dict[str, int]) -> str | None:
    """Describe the first pattern that matches too few or too many files, or return None if all counts agree.

    Args:
        root: folder of the data set.
        layout: maps ``Path.glob`` patterns below ``root`` to the number of files that must match.
    """
    for pattern, count in layout.items():
        found = sum(1 for _ in root.glob(pattern))
        if found != count:
            return f'{pattern} matches {found:,} files instead of {count:,}'
    return None
