"""Reduce maps to the size of a picture while their rows arrive."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

SHOWN = 4096  # longest side of a picture of a map, px


class Thinning:
    """Which rows and columns of a map to show, so that its longer side has at most ``SHOWN`` pixels.

    Args:
        height, width: of the map, px.

    Attributes:
        rows, columns: their positions, evenly spaced.
    """

    def __init__(self, height: int, width: int) -> None:
        scale = min(SHOWN / max(height, width), 1.0)
        self.rows, self.columns = (_positions(size, max(round(size * scale), 1)) for size in (height, width))

    def __call__(self, bands: Iterable[np.ndarray]) -> np.ndarray:
        """Return the pixels to show of bands (rows, W) or (rows, W, ...) that arrive from top to bottom."""
        shown, start, end = np.empty(0), 0, 0
        for band in bands:
            rows = self.rows[(self.rows >= start) & (self.rows < start + len(band))] - start
            if start == 0:
                shown = np.empty((len(self.rows), len(self.columns), *band.shape[2:]), band.dtype)
            shown[end:end + len(rows)] = band[rows][:, self.columns]
            start, end = start + len(band), end + len(rows)
        return shown


def _positions(size: int, number: int) -> np.ndarray:
    return ((np.arange(number) + 0.5) * size / number).astype(int)
