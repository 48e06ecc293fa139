"""Bilinear resizing along one axis as a small matrix, so that it can be composed with other linear maps."""
from __future__ import annotations

import torch
from torch import Tensor


def source_range(in_size: int, out_size: int, start: int, stop: int, align_corners: bool) -> tuple[int, int]:
    """The input positions [first, last) that output positions [start, stop) of a resized axis depend on.

    Positions outside 0 … ``out_size`` depend on nothing.
    """
    ends = torch.tensor([max(start, 0), min(stop, out_size) - 1])
    low, high, _ = _neighbours(ends, in_size, out_size, align_corners)
    return int(low[0]), int(high[1]) + 1


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
    positions = torch.arange(start, stop)
    low, high, share = _neighbours(positions.clamp(0, out_size - 1), in_size, out_size, align_corners)
    inside = ((positions >= 0) & (positions < out_size)).double()
    matrix = torch.zeros(stop - start, last - first, dtype=torch.float64)
    rows = torch.arange(stop - start)
    matrix.index_put_((rows, (low - first).clamp(0, last - first - 1)), (1 - share) * inside, accumulate=True)
    matrix.index_put_((rows, (high - first).clamp(0, last - first - 1)), share * inside, accumulate=True)
    return matrix.to(like)


def _neighbours(positions: Tensor, in_size: int, out_size: int, align_corners: bool) -> tuple[Tensor, Tensor, Tensor]:
    """For output positions: the lower and the upper input position, and the upper one's share."""
    if align_corners:
        source = positions.double() * ((in_size - 1) / max(out_size - 1, 1))
    else:
        source = ((positions.double() + 0.5) * (in_size / out_size) - 0.5).clamp_min(0)
    low = source.floor().long().clamp(max=in_size - 1)
    return low, (low + 1).clamp(max=in_size - 1), source - low
