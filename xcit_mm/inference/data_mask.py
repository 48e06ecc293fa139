"""Where a raster holds data: which of its pixels count, and the smallest box around them."""
from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.pooling import block_means
from ..ops.rows import Rows, bands
from ..statistics.grid import BLOCK
from .sources import Box, Source

ROWS_AT_ONCE = 256  # a multiple of BLOCK


class Boxed(Rows):
    """The part of a source within a box: (rows, box width, bands)."""

    def __init__(self, source: Source, box: Box) -> None:
        super().__init__(box.height, box.width)
        self.source, self.box = source.reader(), box

    def compute(self, start: int, stop: int) -> Tensor:
        if start == 0:
            for first, last in bands(self.box.top, ROWS_AT_ONCE):  # not all at once, because that takes memory
                self.source.read(first, last)
        return self.source.read(self.box.top + start, self.box.top + stop)[:, self.box.left:self.box.right]


class DataMask:
    """Which pixels of a source hold data, with one bit for each in memory.

    Args:
        source: an open file.

    Attributes:
        box: the smallest box around all pixels with data; None if there are none.
    """

    def __init__(self, source: Source) -> None:
        self.height, self.width = source.height, source.width
        # (rows, bytes) each, or None if all of the rows hold data; None if every pixel does.
        self.rows: list[np.ndarray | None] | None = []
        self.box: Box | None = Box(0, self.height, 0, self.width)
        columns, is_full = np.zeros(self.width, bool), True
        filled: list[int] = []  # rows with data
        for start, stop in bands(self.height, ROWS_AT_ONCE):
            valid = source.valid(start, stop)
            if valid is None or valid.all():
                columns[:] = True
                filled += range(start, stop)
                self.rows.append(None)
                continue
            part = valid.numpy()
            columns |= part.any(axis=0)
            filled += [start + row for row in part.any(axis=1).nonzero()[0]]
            self.rows.append(np.packbits(part, axis=1))
            is_full = False
        if is_full:
            self.rows = None
            return
        across = columns.nonzero()[0]
        self.box = Box(filled[0], filled[-1] + 1, int(across[0]), int(across[-1]) + 1) if filled else None

    def read(self, start: int, stop: int) -> Tensor | None:
        """Return which pixels in rows [start, stop) of the box hold data: (rows, box width) bool; None if all do."""
        if self.rows is None or self.box is None:
            return None
        first, last = self.box.top + start, self.box.top + stop
        valid = np.ones((last - first, self.width), bool)
        for number in range(first // ROWS_AT_ONCE, -(-last // ROWS_AT_ONCE)):
            if (packed := self.rows[number]) is not None:
                top = number * ROWS_AT_ONCE
                begin, end = max(first, top), min(last, top + ROWS_AT_ONCE)
                valid[begin - first:end - first] = np.unpackbits(packed[begin - top:end - top], axis=1,
                                                                 count=self.width).view(bool)
        return torch.from_numpy(valid[:, self.box.left:self.box.right])

    def to_whole_rows(self, values: Tensor, start: int, nodata: int) -> Tensor:
        """Return values of whole rows, (rows, W), with ``nodata`` where the image has no data.

        Args:
            values: (rows, box width), on the CPU.
            start: their first row within the box.
            nodata: the value of pixels without data.
        """
        assert self.box is not None  # the rows lie within it
        valid = self.read(start, start + len(values))
        values = values if valid is None else values.where(valid, nodata)
        return F.pad(values, (self.box.left, self.width - self.box.right), value=nodata)

    def coverage(self) -> Tensor | None:
        """Return ``Statistics.coverage`` of the box; None if each of its pixels holds data."""
        if self.rows is None or self.box is None:
            return None
        parts = []
        for start, stop in bands(self.box.height, ROWS_AT_ONCE):
            valid = self.read(start, stop)
            assert valid is not None
            parts.append(block_means(valid.float(), BLOCK))
        coverage = torch.cat(parts)
        return None if bool((coverage == 1).all()) else coverage
