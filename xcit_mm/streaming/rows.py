"""Maps that are computed a few rows at a time, when somebody asks for them.

A map is a chain of ``Rows``: each knows its size, and computes rows from the rows of others. Whoever reads goes
from top to bottom; rows that a later read will need again are kept, all others are gone. No row is computed twice.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..heads.interpolation import resizing_matrix, source_range


class Rows:
    """A map of ``height`` x ``width`` pixels. A subclass says how rows are computed.

    Attributes:
        height, width: pixels.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self._readers: list[Reader] = []
        self._first, self._end, self._kept = 0, 0, None  # rows [first, end) are kept

    def compute(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop): (stop - start, W, C). They are asked for in order, each once."""
        raise NotImplementedError

    def reader(self) -> Reader:
        """A way to read this map from top to bottom."""
        self._readers.append(Reader(self))
        return self._readers[-1]

    def _read(self, start: int, stop: int) -> Tensor:
        needed = min(reader.start for reader in self._readers)
        kept = None if self._kept is None else self._kept[needed - self._first:]
        end = self._end
        if stop > end:
            fresh = self.compute(end, stop)
            kept = torch.cat((kept, fresh)) if kept is not None and len(kept) else fresh
            self._end = stop
        self._kept, self._first = kept, min(needed, end)
        return kept[start - self._first:stop - self._first]


class Reader:
    """One of those who read a map; a read may begin no earlier than the one before it."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.start = rows, 0

    def read(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop): (stop - start, W, C), not to be written to."""
        self.start = start
        return self.rows._read(start, stop)


class Stored(Rows):
    """A map that is there already: (H, W, C)."""

    def __init__(self, content: Tensor) -> None:
        super().__init__(*content.shape[:2])
        self.content = content

    def _read(self, start: int, stop: int) -> Tensor:
        return self.content[start:stop]


class Pointwise(Rows):
    """A function of each pixel of another map: (rows, W, C) -> (rows, W, C')."""

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
        return sum(source.read(start, stop) for source in self.sources)


class Convolution(Rows):
    """A 3x3 convolution with padding 1, and what follows it.

    Args:
        source: the map.
        weight, bias: as of ``conv2d``.
        function: of the result, (rows, W', C').
        stride: 1 or 2.
        groups: as of ``conv2d``.
    """

    def __init__(self, source: Rows, weight: Tensor, bias: Tensor | None, function: Callable[[Tensor], Tensor],
                 stride: int = 1, groups: int = 1) -> None:
        super().__init__(*(-(-side // stride) for side in (source.height, source.width)))
        self.source, self.source_height = source.reader(), source.height
        self.weight, self.bias, self.function = weight, bias, function
        self.stride, self.groups = stride, groups

    def compute(self, start: int, stop: int) -> Tensor:
        first, last = start * self.stride - 1, (stop - 1) * self.stride + 2
        x = self.source.read(max(first, 0), min(last, self.source_height))
        # Beyond the map are zeros; between its rows are other rows.
        x = F.pad(x, (0, 0, 0, 0, max(-first, 0), max(last - self.source_height, 0)))
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
        if self.mode == 'nearest':
            positions = torch.arange(start, stop) * self.source_height // self.height
            first, last = int(positions[0]), int(positions[-1]) + 1
            x = self.source.read(first, last)
            x = x[(positions - first).to(x.device)]
            return _interpolate_columns(x, self.width, self.mode, None)
        first, last = source_range(self.source_height, self.height, start, stop, self.align_corners)
        x = self.source.read(first, last)
        taps = resizing_matrix(self.source_height, self.height, start, stop, first, last, self.align_corners, x)
        x = (taps @ x.flatten(1)).unflatten(1, x.shape[1:])
        return _interpolate_columns(x, self.width, self.mode, self.align_corners)


def _interpolate_columns(x: Tensor, width: int, mode: str, align_corners: bool | None) -> Tensor:
    if x.shape[1] == width:
        return x
    x = F.interpolate(x.permute(2, 0, 1)[None], (len(x), width), mode=mode, align_corners=align_corners)
    return x[0].permute(1, 2, 0)
