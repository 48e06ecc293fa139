"""Cut a label map into compressed tiles, at full size and reduced, while its rows arrive."""
from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO

import numpy as np

from .majority import most_frequent

TILE = 512  # side, px; even, so that a pair of rows never spans two tiles


class Level:
    """One level of a pyramid, with the coarser ones, whose compressed tiles wait in temporary files.

    Only rows that do not fill a row of tiles yet are in memory.

    Args:
        size: height and width, px.
        nodata: label of pixels without data.
        new_file: opens an empty temporary file.
        is_finest: whether this level's tiles are used at once instead of being written to a file.

    Attributes:
        coarser: the level of half the size; None if this one fits in a tile.
    """

    def __init__(self, size: tuple[int, int], nodata: int, new_file: Callable[[], IO[bytes]], is_finest: bool = True
                 ) -> None:
        self.size, self.nodata = size, nodata
        self.coarser: Level | None = None
        if max(size) > TILE:
            self.coarser = Level((-(-size[0] // 2), -(-size[1] // 2)), nodata, new_file, is_finest=False)
        self.file = None if is_finest else new_file()
        self.lengths: list[int] = []  # of the tiles in the file, bytes
        self.rest: np.ndarray | None = None

    def tiles(self, bands: Iterable[np.ndarray]) -> Iterator[bytes]:
        """Yield the tiles of this level, row by row, and write those of the coarser ones to their files.

        Args:
            bands: all rows (n, W), from top to bottom.
        """
        for band in bands:
            yield from self._add(band)
        yield from self._finish()

    def stored_tiles(self) -> Iterator[bytes]:
        """Yield the tiles in the file of a coarser level."""
        assert self.file is not None
        self.file.seek(0)
        for length in self.lengths:
            yield self.file.read(length)

    def _add(self, rows: np.ndarray) -> Iterator[bytes]:
        self.rest = rows if self.rest is None else np.concatenate((self.rest, rows))
        while len(self.rest) >= TILE:
            yield from self._cut(self.rest[:TILE])
            self.rest = self.rest[TILE:]

    def _finish(self) -> Iterator[bytes]:
        if self.rest is not None and len(self.rest):
            yield from self._cut(self.rest)
        if self.coarser:
            self.coarser._store(self.coarser._finish())

    def _cut(self, rows: np.ndarray) -> Iterator[bytes]:
        if self.coarser:
            self.coarser._store(self.coarser._add(most_frequent(rows, self.nodata)))
        for left in range(0, self.size[1], TILE):
            tile = rows[:, left:left + TILE]
            missing = [(0, TILE - size) for size in tile.shape]
            yield zlib.compress((np.pad(tile, missing, mode='edge') if np.any(missing) else tile).tobytes())

    def _store(self, tiles: Iterator[bytes]) -> None:
        assert self.file is not None
        for tile in tiles:
            self.file.write(tile)
            self.lengths.append(len(tile))


def kept_bytes(width: int) -> int:
    """Return how many bytes of 8-bit rows wait in memory, with the copy made to append to them."""
    return 2 * 2 * TILE * width  # all the coarser levels together need as much as the finest
