"""Show a file that is too large to be read at once."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np

from ..ops.rows import bands
from .data_mask import ROWS_AT_ONCE
from .display import to_rgb, value_range
from .sources import Source


def show(open_file: Callable[[], Source], is_bgr: bool) -> Iterator[np.ndarray]:
    """Yield a file's pixels for display, from top to bottom: (rows, W, 3) uint8, RGB; see ``to_rgb``.

    Pixels without data are black.

    Args:
        open_file: opens the file; called twice, because the range of the values is needed first.
        is_bgr: whether its first three bands are blue, green and red.
    """
    with open_file() as source:
        limits = _limits(source)
    with open_file() as source:
        for pixels, valid in _parts(source):
            shown = to_rgb(pixels, is_bgr, limits)
            if valid is not None:
                shown[~valid] = 0
            yield shown


def _parts(source: Source) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield pixels (rows, W, bands) and which of them have data, (rows, W) bool, or None if all do."""
    reader = source.reader()
    for start, stop in bands(source.height, ROWS_AT_ONCE):
        pixels, valid = reader.read(start, stop), source.valid(start, stop)
        yield pixels.numpy(), None if valid is None else valid.numpy()


def _limits(source: Source) -> tuple[float, float] | None:
    """Return the lowest and the highest value that has data and is shown; None if the values are 8-bit."""
    parts = _parts(source)
    first = next(parts)
    if first[0].dtype == np.uint8:
        return None
    return value_range(_shown_values(*part) for part in chain([first], parts))


def _shown_values(pixels: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    shown = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1]
    return shown if valid is None else shown[valid]
