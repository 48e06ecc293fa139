"""Files that are read in pieces of a fixed height, such as rows of tiles."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from .source import Source

LEAST_ROWS = 256  # of a piece


class PiecewiseFile(Source):
    """A file read in pieces of ``piece_height`` rows; the last piece that was read stays in memory.

    The pieces do not depend on the rows that are asked for, and neither do the pixels in them.

    Args:
        path: the file.
        height, width: px, of the image that the source yields.
        stored_height: rows of the file's pixels.
        piece_height: rows.
    """

    def __init__(self, path: Path, height: int, width: int, stored_height: int, piece_height: int) -> None:
        super().__init__(path, height, width)
        self.stored_height, self.piece_height = stored_height, piece_height
        self._piece: tuple[int, np.ndarray] | None = None  # start and pixels

    def read_piece(self, start: int, stop: int) -> np.ndarray:
        """Read rows [start, stop), a piece: (stop - start, W, bands)."""
        raise NotImplementedError

    def read_rows(self, start: int, stop: int) -> np.ndarray:
        """Read rows [start, stop), in any order: (stop - start, W, bands)."""
        first = start // self.piece_height * self.piece_height
        pieces = [self._piece_at(top) for top in range(first, stop, self.piece_height)]
        rows = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
        return rows[start - first:stop - first]

    def _piece_at(self, start: int) -> np.ndarray:
        if self._piece is None or self._piece[0] != start:
            self._piece = None  # frees it
            self._piece = start, self.read_piece(start, min(start + self.piece_height, self.stored_height))
        return self._piece[1]


def piece_height(tile_height: int) -> int:
    """Return a height of pieces that suits a file's tiles: a multiple of theirs, because each is decoded as a whole."""
    return tile_height * -(-LEAST_ROWS // tile_height)
