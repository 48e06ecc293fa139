"""Statistics over neighbourhoods: similar to sliding windows of the crop size, but blended in every block."""
from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError, describe_value
from .grid import TokenGrid
from .grouped import GroupedMoments, GroupedStatistics, Groups, Members
from .statistics import STATISTICS

DOUBLE = 8  # bytes


@STATISTICS.register_module(name='local')
class Local(GroupedStatistics):
    """One moment for each of many overlapping neighbourhoods; each token gets a blend of the maps of those around it.

    Neighbourhoods overlap by half. The share of a neighbourhood's map falls linearly from the centre of the
    neighbourhood to 0 at its edges. If a neighbourhood is as large as the image, the result is the same as with
    ``image``. UPerHead's pooled cells are always those of the whole image.

    Args:
        size: maximum height and width of a neighbourhood, px; default: those of the training crops.

    Raises:
        InputError: ``size`` is not two positive numbers.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        if size is not None and not (isinstance(size, Sequence) and len(size) == 2 and all(
                isinstance(side, int) and side > 0 for side in size)):
            raise InputError('statistics local needs size=(height, width), two whole numbers of pixels, but got '
                             f'{describe_value(size)}')
        self.given = size

    @property
    def size(self) -> tuple[int, int]:
        """Maximum height and width of a neighbourhood, px.

        Raises:
            InputError: no size was given, and that of the training crops is unknown.
        """
        size = self.given or self.crop
        if not size:
            raise InputError("statistics local needs the size of the training crops, but data_preprocessor.size is not "
                             "set; use statistics=dict(type='local', size=(height, width))")
        return size

    def begin(self, height: int, width: int, patch_size: int) -> None:
        super().begin(height, width, patch_size)
        self.rows, self.columns = self._axes(self.grid)

    def _axes(self, grid: TokenGrid) -> tuple[Axis, Axis]:
        """Divide the grid; no step is shorter than a token, whatever ``size`` says."""
        rows, columns = (
            Axis(tokens, max(min(-(-2 * tokens * grid.patch_size // side), tokens), 2))
            for tokens, side in zip((grid.height, grid.width), self.size))
        return rows, columns

    def estimate_bytes(self, grid: TokenGrid, channels: int) -> float:
        steps = math.prod(axis.steps for axis in self._axes(grid))
        return 2.5 * DOUBLE * steps * (channels + 1)**2  # moments of steps and of neighbourhoods, and maps in float32

    def moments(self, block: int, height: int, width: int) -> GroupedMoments:
        return self.grouped_moments(Neighbourhoods(self.grid, self.rows, self.columns), block, width)


class Axis(NamedTuple):
    """One axis of the token grid, divided into steps; each neighbourhood covers two neighbouring steps.

    Attributes:
        tokens: length of the axis.
        steps: number of steps, at least 2.
    """
    tokens: int
    steps: int

    def step(self, number: int) -> tuple[int, int]:
        """Return the tokens [start, stop) of a step."""
        return number * self.tokens // self.steps, (number + 1) * self.tokens // self.steps

    def shares(self, start: int, stop: int) -> dict[int, tuple[int, Tensor]]:
        """Return where among tokens [start, stop) each neighbourhood's map applies, and with what shares.

        Returns:
            For each neighbourhood, by number (0 to ``steps`` - 2): its first token, and its shares from that token on.
        """
        position = (torch.arange(start, stop) + 0.5) * self.steps / self.tokens - 1
        position = position.clamp(0, self.steps - 2)
        found = {}
        for number in range(int(position[0]), min(int(position[-1]) + 2, self.steps - 1)):
            share = (1 - (position - number).abs()).clamp_min(0)
            covered = share.nonzero()[:, 0]
            if len(covered):
                first, last = int(covered[0]), int(covered[-1]) + 1
                found[number] = start + first, share[first:last]
        return found


class Neighbourhoods(Groups):
    """Neighbourhoods as groups of tokens, summed step by step, because they overlap.

    Padding and pixels without data do not count. One with no other tokens gets the moment of the whole image.
    """

    def __init__(self, grid: TokenGrid, rows: Axis, columns: Axis) -> None:
        self.grid, self.rows, self.columns = grid, rows, columns

    def summed(self, batch: int, start: int, stop: int) -> Iterable[Members]:
        inside, coverage = self.grid.inside(start, stop), self.grid.weights(start, stop)
        index = torch.arange(batch * inside.numel()).view(batch, *inside.shape)
        for i in range(self.rows.steps):
            top, bottom = (min(max(row, start), stop) - start for row in self.rows.step(i))
            for j in range(self.columns.steps if top < bottom else 0):
                step = slice(top, bottom), slice(*self.columns.step(j))
                for image in range(batch):
                    if len(own := index[image][step][inside[step]]):
                        weight = None if coverage is None else coverage[0, own % inside.numel()]
                        yield Members((image * self.rows.steps + i) * self.columns.steps + j, own, weight)

    def combine(self, parts: dict[int, Tensor]) -> dict[int, Tensor]:
        steps = self.rows.steps * self.columns.steps
        combined = {}
        for image in {number // steps for number in parts}:
            for i in range(self.rows.steps - 1):
                for j in range(self.columns.steps - 1):
                    first = (image * self.rows.steps + i) * self.columns.steps + j
                    steps_of = (first + row * self.columns.steps + column for row in range(2) for column in range(2))
                    inside = [parts[number] for number in steps_of if number in parts]
                    if not inside:
                        inside = [part for number, part in parts.items() if number // steps == image]
                    combined[first] = functools.reduce(torch.add, inside)
        return combined

    def blended(self, batch: int, start: int, stop: int) -> Iterable[Members]:
        index = torch.arange(batch * (stop - start) * self.grid.width).view(batch, stop - start, -1)
        across = self.columns.shares(0, self.grid.width)
        for i, (top, down) in self.rows.shares(start, stop).items():
            for j, (left, right) in across.items():
                share = (down[:, None] * right).flatten()[:, None]
                for image in range(batch):
                    own = index[image, top - start:top - start + len(down), left:left + len(right)]
                    yield Members((image * self.rows.steps + i) * self.columns.steps + j, own.flatten(), share)
