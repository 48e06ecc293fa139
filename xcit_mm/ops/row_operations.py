"""Operations on feature maps that are computed in bands of rows."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from . import winograd
from .interpolation import resizing_matrix, source_range
from .layouts import to_batch, to_rows
from .precision import at_least_float32, full_precision
from .rows import Rows


class Pointwise(Rows):
    """A map whose rows are a function of another map's rows: (rows, W, C) -> (rows, W, C')."""

    def __init__(self, source: Rows, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__(source.height, source.width)
        self.source, self.function = source.reader(), function

    def compute(self, start: int, stop: int) -> Tensor:
        return self.function(self.source.read(start, stop))


class Sum(Rows):
    """The sum of several maps of the same size."""

    def __init__(self, sources: Sequence[Rows]) -> None:
        super().__init__(sources[0].height, sources[0].width)
        self.sources = [source.reader() for source in sources]

    def compute(self, start: int, stop: int) -> Tensor:
        return reduce(torch.add, (source.read(start, stop) for source in self.sources))


class Convolution(Rows):
    """A 3x3 convolution with padding 1, followed by a function.

    Args:
        source: the map.
        weight, bias, groups: arguments of ``conv2d``.
        function: applied to rows of the result, (rows, W', C').
        stride: 1 or 2.
    """

    def __init__(self, source: Rows, weight: Tensor, bias: Tensor | None,
                 function: Callable[[Tensor], Tensor] = lambda y: y, stride: int = 1, groups: int = 1) -> None:
        super().__init__(*(-(-side // stride) for side in (source.height, source.width)))
        self.source, self.source_height = source.reader(), source.height
        self.bias, self.function, self.stride, self.groups = bias, function, stride, groups
        is_dense = stride == groups == 1
        self.is_winograd = is_dense and winograd.is_faster(weight)
        self.weight = (winograd.transform_kernel(weight) if self.is_winograd
                       else weight.contiguous(memory_format=torch.channels_last))

    def compute(self, start: int, stop: int) -> Tensor:
        first, last = start * self.stride - 1, (stop - 1) * self.stride + 2
        next_start = max(stop * self.stride - 1, 0)
        x = self.source.read(max(first, 0), min(last, self.source_height), next_start)
        above, below = max(-first, 0), max(last - self.source_height, 0)
        if above or below:  # pad at the edges of the map only, not between bands
            x = F.pad(x, (0, 0, 0, 0, above, below))
        if self.is_winograd:
            return self.function(winograd.convolve(x, self.weight, self.bias))
        return self.function(to_rows(F.conv2d(
            to_batch(x), self.weight, self.bias, stride=self.stride, padding=(0, 1), groups=self.groups)))


class Resized(Rows):
    """A map resized the way ``torch.nn.functional.interpolate`` does it."""

    def __init__(self, source: Rows, size: tuple[int, int], mode: str = 'bilinear',
                 align_corners: bool = False) -> None:
        super().__init__(*size)
        self.source_height, self.mode, self.align_corners = source.height, mode, align_corners
        self.source = Pointwise(source, self._resize_columns).reader()  # columns first, while there are fewer rows

    def compute(self, start: int, stop: int) -> Tensor:
        first, last = self._source_range(start, stop)
        next_start = self._source_range(stop, stop + 1)[0] if stop < self.height else self.source_height
        x = self.source.read(first, last, next_start)
        if self.mode == 'nearest':
            return x[[row * self.source_height // self.height - first for row in range(start, stop)]]
        taps = resizing_matrix(self.source_height, self.height, start, stop, first, last, self.align_corners, x)
        with full_precision(x.device):
            return (taps @ x.flatten(1)).unflatten(1, x.shape[1:]).to(self.dtype)

    def _resize_columns(self, x: Tensor) -> Tensor:
        self.dtype, align_corners = x.dtype, None
        if self.mode != 'nearest':  # torch also computes in at least float32 and rounds once
            x, align_corners = at_least_float32(x), self.align_corners
        if x.shape[1] == self.width:
            return x
        return to_rows(F.interpolate(
            to_batch(x), (len(x), self.width), mode=self.mode, align_corners=align_corners))

    def _source_range(self, start: int, stop: int) -> tuple[int, int]:
        if self.mode == 'nearest':
            first, last = (row * self.source_height // self.height for row in (start, stop - 1))
            return first, last + 1
        return source_range(self.source_height, self.height, start, stop, self.align_corners)


class Cropped(Rows):
    """A map with its margins cropped off.

    Args:
        source: the map.
        left, right, top, bottom: pixels to leave out.
    """

    def __init__(self, source: Rows, left: int, right: int, top: int, bottom: int) -> None:
        super().__init__(source.height - top - bottom, source.width - left - right)
        self.source, self.left, self.top = source.reader(), left, top

    def compute(self, start: int, stop: int) -> Tensor:
        return self.source.read(self.top + start, self.top + stop)[:, self.left:self.left + self.width]
