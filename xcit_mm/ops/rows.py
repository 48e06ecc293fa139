"""Feature maps computed lazily, a few rows at a time.

Each map is a ``Rows`` object, which computes its rows from those of other maps. A reader moves from top to bottom, and
each read states where the next one will begin; rows from that point on are kept, and earlier ones are freed. No row is
computed twice.
"""
from __future__ import annotations

from weakref import WeakSet

import torch
from torch import Tensor


class Rows:
    """A map of ``height`` x ``width`` pixels. A subclass implements ``compute``.

    Attributes:
        height, width: in pixels.
        at_least: minimum number of rows to compute at once, as long as that many remain.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width, self.at_least = height, width, 1
        self._readers: WeakSet[Reader] = WeakSet()  # cycles would keep maps until garbage collection
        self._first, self._end = 0, 0  # rows [first, end) are kept
        self._kept: Tensor | None = None

    def compute(self, start: int, stop: int) -> Tensor:
        """Compute rows [start, stop): (stop - start, W, C). Calls come in order, and each row is computed only once."""
        raise NotImplementedError

    def reader(self) -> Reader:
        """Return a sequential reader of this map; all readers must be created before the first row is read."""
        assert self._end == 0, 'rows that a new reader would need are gone'
        self._readers.add(reader := Reader(self))
        return reader

    def _read(self, start: int, stop: int) -> Tensor:
        kept, first, end = self._kept, self._first, self._end
        assert first <= start < stop <= self.height, f'rows {start} to {stop} are not available: {first} is the first'
        if stop > end:
            self._end, self._kept = min(max(stop, end + self.at_least), self.height), None
            fresh = self.compute(end, self._end)
            kept, first = (fresh, end) if kept is None else (torch.cat((kept, fresh)), first)
        assert kept is not None  # every read is for at least one row
        needed = max(min(reader.next_start for reader in self._readers), first)
        if needed >= self._end:
            self._kept, self._first = None, self._end
        else:  # a copy, so that the memory of the other rows is freed
            self._kept, self._first = (kept[needed - first:].clone() if needed > first else kept), needed
        return kept[start - first:stop - first]


class Reader:
    """A sequential reader of a map."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.next_start = rows, 0

    def read(self, start: int, stop: int, next_start: int | None = None) -> Tensor:
        """Read rows [start, stop): (stop - start, W, C). Do not write to the result.

        Args:
            next_start: no later read begins before this row. Default: ``stop``.
        """
        self.next_start = stop if next_start is None else next_start
        return self.rows._read(start, stop)

    def read_all(self) -> Tensor:
        """Read the whole map: (H, W, C)."""
        return self.read(0, self.rows.height)


class Stored(Rows):
    """A map that is already in memory: (H, W, C)."""

    def __init__(self, content: Tensor) -> None:
        super().__init__(*content.shape[:2])
        self.content = content

    def _read(self, start: int, stop: int) -> Tensor:
        return self.content[start:stop]


def bands(height: int, step: int) -> list[tuple[int, int]]:
    """Split ``height`` rows into bands [start, stop) of ``step`` rows; the last band may be shorter."""
    return [(start, min(start + step, height)) for start in range(0, height, step)]
