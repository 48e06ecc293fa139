"""Bilinear resizing along one axis as a small matrix, so that it can be composed with other linear maps."""
from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def source_range(in_size: int, out_size: int, start: int, stop: int, align_corners: bool) -> tuple[int, int]:
    """The input positions [first, last) that output positions [start, stop) of a resized axis depend on.

    Positions outside 0 … ``out_size`` depend on nothing.
    """
    first = _source(max(start, 0), in_size, out_size, align_corners)
    last = _source(min(stop, out_size) - 1, in_size, out_size, align_corners)
    return min(math.floor(first), in_size - 1), min(math.floor(last) + 2, in_size)


def resizing_matrix(in_size: int, out_size: int, start: int, stop: int, first: int, last: int,
                    align_corners: bool, like: Tensor) -> Tensor:
    """The weights of input positions [first, last) in output positions [start, stop) of a resized axis.

    Args:
        in_size, out_size: length of the axis before and after.
        start, stop: may reach beyond the axis, where weights are 0, as zero padding after the resizing has it.
        first, last: at least ``source_range``.
        align_corners: as in ``torch.nn.functional.interpolate``.
        like: its dtype and device are the result's.

    Returns:
        (stop - start, last - first)
    """
    matrix = np.zeros((stop - start, last - first))  # a tensor would take microseconds for each number
    for position in range(max(start, 0), min(stop, out_size)):
        source = _source(position, in_size, out_size, align_corners)
        low = min(math.floor(source), in_size - 1)
        high = min(low + 1, in_size - 1)
        matrix[position - start, low - first] += 1 - (source - low)
        matrix[position - start, high - first] += source - low
    return torch.from_numpy(matrix).to(like)


def _source(position: int, in_size: int, out_size: int, align_corners: bool) -> float:
    """Where in the input an output position lies."""
    if align_corners:
        return position * ((in_size - 1) / max(out_size - 1, 1))
    return max((position + 0.5) * (in_size / out_size) - 0.5, 0.0)
