"""Whether an exported file computes what the model does, at sizes that it was not traced with."""
from __future__ import annotations

import timeit
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import InputError
from .formats import SMALLEST_SIDE, Runtime

TOLERANCE = 1e-4  # of the largest value of an output
ROUNDS = 3


class Comparison(NamedTuple):
    """A file beside the model at one size."""

    batch: int
    height: int
    width: int
    difference: float  # the largest of all outputs, relative to the largest value of each
    file_s: float  # median seconds of a run
    torch_s: float


def sizes_near(height: int, width: int) -> list[tuple[int, int, int]]:
    """Batch, height and width of images to compare at: of this size, wider, and two with odd sides.

    Raises:
        InputError: sides below twice ``SMALLEST_SIDE``.
    """
    if min(height, width) < 2 * SMALLEST_SIDE:
        raise InputError(f'the sides of an image to compare at must have {2 * SMALLEST_SIDE} pixels or more, but are '
                         f'{height} and {width}')
    odd = max(height // 2 - 6, SMALLEST_SIDE), max(2 * width // 3 - 8, SMALLEST_SIDE)
    return [(1, height, width), (1, 3 * height // 4, 5 * width // 4), (2, *odd)]


@torch.no_grad()
def compare(function: nn.Module, runtime: Runtime, sizes: list[tuple[int, int, int]]) -> Iterator[Comparison]:
    """Run both on noise of each size: once for the results, then ``ROUNDS`` times in turn for the time.

    Args:
        function: ``exported_function`` of a model, in eval mode.
        runtime: the same from a file.
        sizes: batch, height and width.

    Raises:
        InputError: the file does not run at one of these sizes, or differs by more than ``TOLERANCE``.
    """
    for batch, height, width in sizes:
        where = f'at {height} x {width} pixels and batch {batch}'
        image = torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))
        expected = function(image)
        try:
            actual = runtime(image)
        except Exception as error:  # each runtime has its own
            raise InputError(f'the exported file does not run {where}: {first_line(error)}') from error
        difference = largest_difference(actual, expected)
        if not difference <= TOLERANCE:  # NaN is neither
            raise InputError(f'the exported file differs from the model by {difference:.1g} of the largest value '
                             f'{where}, more than {TOLERANCE:g}; it was not kept')
        times = [(_time(runtime, image), _time(function, image)) for _ in range(ROUNDS)]
        yield Comparison(batch, height, width, difference, *map(median, zip(*times)))


def largest_difference(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Of all outputs, relative to the largest absolute value of each; infinite where shapes differ."""
    if [output.shape for output in actual] != [output.shape for output in expected]:
        return float('inf')
    differences = [(one - other).abs().max() / other.abs().max() for one, other in zip(actual, expected)]
    return torch.stack(differences).max().item()  # NaN if one is


def _time(run: Runtime, image: Tensor) -> float:
    return timeit.timeit(lambda: run(image), number=1)


def first_line(error: Exception) -> str:
    """What an error says, without its details."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
