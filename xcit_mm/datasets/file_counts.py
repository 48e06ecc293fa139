"""What files a prepared data set has."""
from __future__ import annotations

from pathlib import Path


def first_difference(root: Path, layout: dict[str, int]) -> str | None:
    """What is first missing or too much in a folder, or None where it is as it should be.

    Args:
        layout: patterns of files below ``root``, as ``Path.glob`` takes them, and how many of them there are.
    """
    for pattern, count in layout.items():
        found = sum(1 for _ in root.glob(pattern))
        if found != count:
            return f'there should be {count:,} of {pattern}, and there are {found:,}'
    return None
