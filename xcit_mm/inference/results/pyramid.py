"""Cut a map into tiles, at full size and reduced, while its rows arrive."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

TILE = 512  # side, px; even, so that a pair of rows never spans two tiles

Reduce = Callable[[np.ndarray], np.ndarray]
Write = Callable[[int, int, int, np.ndarray], None]  # takes the level, column and row of a tile, and its pixels


class Level:
    """One level of a pyramid of tiles, with the coarser ones. Level 0, the coarsest, is a single tile.

    Only the rows of each level that do not yet fill a row of tiles are in memory.

    Args:
        number: of the level.
        write: called with each tile.
        reduce: halves rows (n, W, ...) with even n and W, to (n / 2, W / 2, ...).
    """

    def __init__(self, number: int, write: Write, reduce: Reduce) -> None:
        self.number, self.write, self.reduce = number, write, reduce
        self.coarser = Level(number - 1, write, reduce) if number else None
        self.rest: np.ndarray | None = None
        self.row = 0  # of tiles

    def add(self, rows: np.ndarray) -> None:
        """Add rows (n, W, ...)."""
        self.rest = rows if self.rest is None else np.concatenate((self.rest, rows))
        while len(self.rest) >= TILE:
            self._cut(self.rest[:TILE])
            self.rest = self.rest[TILE:]

    def finish(self) -> None:
        """Write the last rows of all levels."""
        if self.rest is not None and len(self.rest):
            self._cut(self.rest)
        if self.coarser:
            self.coarser.finish()

    def _cut(self, rows: np.ndarray) -> None:
        for column, left in enumerate(range(0, rows.shape[1], TILE)):
            self.write(self.number, column, self.row, rows[:, left:left + TILE])
        self.row += 1
        if self.coarser:
            odd = [(0, size % 2) for size in rows.shape[:2]] + [(0, 0)] * (rows.ndim - 2)
            self.coarser.add(self.reduce(np.pad(rows, odd, mode='edge')))


def finest_level(height: int, width: int) -> int:
    """Return how often to halve a map of this size, in pixels, until it fits in a tile."""
    return (-(-max(height, width) // TILE) - 1).bit_length()


def kept_bytes(width: int) -> int:
    """Return how many bytes of 8-bit rows wait in memory, with the copy made to append to them."""
    return 2 * 2 * TILE * width  # all the coarser levels together need as much as the finest
