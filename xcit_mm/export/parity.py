"""Compare an exported file with the model at sizes other than the one used for tracing."""
from __future__ import annotations

import timeit
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from .file_format import Runtime
from .functions import Levels, Logits
from .tracing import SMALLEST_SIDE

TOLERANCE = 1e-4  # relative to the largest value of an output
ROUNDS = 3


class Comparison(NamedTuple):
    """Result of comparing a file with the model at one size."""

    batch: int
    height: int
    width: int
    difference: float  # largest over all outputs, relative to the largest value of each
    file_s: float  # median time of a run, in seconds
    torch_s: float


def sizes_near(height: int, width: int) -> list[tuple[int, int, int]]:
    """Choose the (batch, height, width) sizes to compare at: the given one, a wider one, and a batch of smaller images.

    Raises:
        InputError: a side is shorter than twice ``SMALLEST_SIDE``.
    """
    if min(height, width) < 2 * SMALLEST_SIDE:
        raise InputError(f'cannot compare at {height} x {width} pixels; choose sides of {2 * SMALLEST_SIDE} pixels or '
                         'more')
    odd = max(height // 2 - 6, SMALLEST_SIDE), max(2 * width // 3 - 8, SMALLEST_SIDE)
    return [(1, height, width), (1, 3 * height // 4, 5 * width // 4), (2, *odd)]


@torch.no_grad()
def compare(function: Levels | Logits, runtime: Runtime, sizes: list[tuple[int, int, int]]) -> Iterator[Comparison]:
    """Run a function and a file on noise images of each size: compare them once, then time them ``ROUNDS`` times.

    Args:
        function: ``exported_function`` of a model, in eval mode.
        runtime: the function loaded from the file.
        sizes: batch size, height and width of each input.

    Raises:
        InputError: the file does not run at one of the sizes, or differs by more than ``TOLERANCE``.
    """
    for batch, height, width in sizes:
        where = f'at {height} x {width} pixels and batch {batch}'
        image = torch.randn(batch, function.in_channels, height, width, generator=torch.Generator().manual_seed(0))
        expected = function(image)
        try:
            actual = runtime(image)
        except Exception as error:  # each runtime raises its own exception types
            raise InputError(f'the exported file does not run {where}: {first_line(error)}') from error
        difference = largest_difference(actual, expected)
        if not difference <= TOLERANCE:  # true for NaN, too
            raise InputError(f'the exported file differs from the model by {difference:.1g} of the largest value '
                             f'{where}, more than {TOLERANCE:g}, and was not kept')
        times = [(_time(runtime, image), _time(function, image)) for _ in range(ROUNDS)]
        yield Comparison(batch, height, width, difference, *map(median, zip(*times)))


def largest_difference(actual: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Return the largest difference between two sets of outputs, relative to each output's largest absolute value.

    The result is infinite if any shapes differ, and NaN if any value is NaN.
    """
    if [output.shape for output in actual] != [output.shape for output in expected]:
        return float('inf')
    differences = [(one - other).abs().max() / other.abs().max() for one, other in zip(actual, expected)]
    return torch.stack(differences).max().item()


def _time(run: Runtime, image: Tensor) -> float:
    return timeit.timeit(lambda: run(image), number=1)


def first_line(error: Exception) -> str:
    """Return the first line of an error message, or the error's type if there is no message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
