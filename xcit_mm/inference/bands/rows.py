"""Maps that are computed a few rows at a time, when somebody asks for them.

A map is a chain of ``Rows``: each knows its size, and computes rows from the rows of others. Whoever reads goes
from top to bottom, and says where the next read will begin; rows from there on are kept, all others are gone.
No row is computed twice.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from ...ops import winograd
from ...ops.interpolation import resizing_matrix, source_range


class Rows:
    """A map of ``height`` x ``width`` pixels. A subclass says how rows are computed.

    Attributes:
        height, width: pixels.
        at_least: rows to compute at once, where there are so many left.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width, self.at_least = height, width, 1
        self._readers: list[Reader] = []
        self._first, self._end = 0, 0  # rows [first, end) are kept
        self._kept: Tensor | None = None

    def compute(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop): (stop - start, W, C). They are asked for in order, each once."""
        raise NotImplementedError

    def reader(self) -> Reader:
        """A way to read this map from top to bottom; all are made before the first row is read."""
        assert self._end == 0, 'rows are gone that a new reader would need'
        self._readers.append(Reader(self))
        return self._readers[-1]

    def _read(self, start: int, stop: int) -> Tensor:
        kept, first, end = self._kept, self._first, self._end
        if stop > end:
            self._end, self._kept = min(max(stop, end + self.at_least), self.height), None
            fresh = self.compute(end, self._end)
            kept, first = (fresh, end) if kept is None else (torch.cat((kept, fresh)), first)
        assert kept is not None  # who reads asks for a row at least
        needed = max(min(reader.following for reader in self._readers), first)
        if needed >= self._end:
            self._kept, self._first = None, self._end
        else:  # a copy, so that the memory of the others is free
            self._kept, self._first = (kept[needed - first:].clone() if needed > first else kept), needed
        return kept[start - first:stop - first]


class Reader:
    """One of those who read a map."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.following = rows, 0

    def read(self, start: int, stop: int, following: int | None = None) -> Tensor:
        """Rows [start, stop): (stop - start, W, C), not to be written to.

        Args:
            following: no later read begins before this row. Default: ``stop``.
        """
        self.following = stop if following is None else following
        return self.rows._read(start, stop)


class Stored(Rows):
    """A map that is there already: (H, W, C)."""

    def __init__(self, content: Tensor) -> None:
        super().__init__(*content.shape[:2])
        self.content = content

    def _read(self, start: int, stop: int) -> Tensor:
        return self.content[start:stop]


class Pointwise(Rows):
    """A function of each row of another map: (rows, W, C) -> (rows, W, C')."""

    def __init__(self, source: Rows, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__(source.height, source.width)
        self.source, self.function = source.reader(), function

    def compute(self, start: int, stop: int) -> Tensor:
        return self.function(self.source.read(start, stop))


class Sum(Rows):
    """The sum of maps of the same size."""

    def __init__(self, sources: Sequence[Rows]) -> None:
        super().__init__(sources[0].height, sources[0].width)
        self.sources = [source.reader() for source in sources]

    def compute(self, start: int, stop: int) -> Tensor:
        return reduce(torch.add, (source.read(start, stop) for source in self.sources))


class Convolution(Rows):
    """A 3x3 convolution with padding 1, and what follows it.

    Args:
        source: the map.
        weight, bias: as of ``conv2d``.
        function: of the result, (rows, W', C').
        stride: 1 or 2.
        groups: as of ``conv2d``.
    """

    def __init__(self, source: Rows, weight: Tensor, bias: Tensor | None,
                 function: Callable[[Tensor], Tensor] = lambda y: y, stride: int = 1, groups: int = 1) -> None:
        super().__init__(*(-(-side // stride) for side in (source.height, source.width)))
        self.source, self.source_height = source.reader(), source.height
        self.bias, self.function, self.stride, self.groups = bias, function, stride, groups
        is_dense = stride == groups == 1
        self.is_winograd = is_dense and winograd.pays(weight)
        self.weight = winograd.transform_kernel(weight) if self.is_winograd else weight

    def compute(self, start: int, stop: int) -> Tensor:
        first, last = start * self.stride - 1, (stop - 1) * self.stride + 2
        following = max(stop * self.stride - 1, 0)
        x = self.source.read(max(first, 0), min(last, self.source_height), following)
        above, below = max(-first, 0), max(last - self.source_height, 0)
        if above or below:  # beyond the map are zeros; between its rows are other rows
            x = F.pad(x, (0, 0, 0, 0, above, below))
        if self.is_winograd:
            return self.function(winograd.convolve(x, self.weight, self.bias))
        y = F.conv2d(x.permute(2, 0, 1)[None], self.weight, self.bias, stride=self.stride, padding=(0, 1),
                     groups=self.groups)
        return self.function(y[0].permute(1, 2, 0))


class Resized(Rows):
    """Another map in another size, as ``torch.nn.functional.interpolate`` makes it."""

    def __init__(self, source: Rows, size: tuple[int, int], mode: str = 'bilinear',
                 align_corners: bool = False) -> None:
        super().__init__(*size)
        self.source, self.source_height = source.reader(), source.height
        self.mode, self.align_corners = mode, align_corners

    def compute(self, start: int, stop: int) -> Tensor:
        first, last = self._source_range(start, stop)
        following = self._source_range(stop, stop + 1)[0] if stop < self.height else self.source_height
        x = self.source.read(first, last, following)
        if x.shape[1] != self.width:  # columns before rows, of which there will be more
            align_corners = None if self.mode == 'nearest' else self.align_corners
            x = F.interpolate(x.permute(2, 0, 1)[None], (len(x), self.width), mode=self.mode,
                              align_corners=align_corners)[0].permute(1, 2, 0)
        if self.mode == 'nearest':
            return x[[row * self.source_height // self.height - first for row in range(start, stop)]]
        taps = resizing_matrix(self.source_height, self.height, start, stop, first, last, self.align_corners, x)
        return (taps @ x.flatten(1)).unflatten(1, x.shape[1:])

    def _source_range(self, start: int, stop: int) -> tuple[int, int]:
        if self.mode == 'nearest':
            first, last = (row * self.source_height // self.height for row in (start, stop - 1))
            return first, last + 1
        return source_range(self.source_height, self.height, start, stop, self.align_corners)
