"""Parts of a result, which sinks write in order."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

PREDICTED = -1  # stands for the class that a pixel's label names
STEPS, NO_PROBABILITY = 254, 255  # 0 … 254 stands for probabilities from 0 to 1; 255 marks pixels without data


class Part(NamedTuple):
    """Rows of a result, on the CPU.

    Attributes:
        labels: (rows, W) class indices, or the label of pixels without data.
        probabilities: for each class that a sink asks for, by index or ``PREDICTED``, (rows, W) uint8 in ``STEPS``, or
            ``NO_PROBABILITY`` where the image has no data.
    """
    labels: Tensor
    probabilities: Mapping[int, Tensor] = {}

    def map(self, change: Callable[[Tensor, int], Tensor], nodata: int) -> Part:
        """Change every map; ``change`` takes a map and its value for pixels without data."""
        return Part(change(self.labels, nodata), {
            index: change(values, NO_PROBABILITY) for index, values in self.probabilities.items()})


def empty_part(rows: int, width: int, nodata: int, dtype: torch.dtype, classes: Sequence[int]) -> Part:
    """Return rows without data.

    Args:
        rows, width: px.
        nodata, dtype: of the labels.
        classes: keys of ``Part.probabilities``.
    """
    return Part(torch.full((rows, width), nodata, dtype=dtype),
                {index: torch.full((rows, width), NO_PROBABILITY, dtype=torch.uint8) for index in classes})


def to_steps(probabilities: Tensor) -> Tensor:
    """Return probabilities, 0 … 1, in ``STEPS``: uint8."""
    return (probabilities * STEPS).round().to(torch.uint8)
