"""Bilinear resizing along one axis, expressed as a small matrix that can be composed with other linear maps."""
from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from .recording import is_symbolic

Position = TypeVar('Position', float, np.ndarray, Tensor)
# The cache holds at most 256 matrices of up to 128 KB each. Computing a larger one takes little time compared with the
# product it is used in.
CACHED_MATRICES, LARGEST_CACHED = 256, 1 << 14  # weights


def source_range(in_size: int, out_size: int, start: int, stop: int, align_corners: bool) -> tuple[int, int]:
    """Return the input positions [first, last) that output positions [start, stop) of a resized axis depend on.

    Output positions outside 0 … ``out_size`` do not depend on any input.
    """
    first = max(_source(max(start, 0), in_size, out_size, align_corners), 0)
    last = max(_source(min(stop, out_size) - 1, in_size, out_size, align_corners), 0)
    return min(math.floor(first), in_size - 1), min(math.floor(last) + 2, in_size)


def resizing_matrix(in_size: int, out_size: int, start: int, stop: int, first: int, last: int,
                    align_corners: bool, like: Tensor) -> Tensor:
    """Return the weights of input positions [first, last) in output positions [start, stop) of a resized axis.

    Args:
        in_size, out_size: length of the axis before and after.
        start, stop: may extend beyond the axis; weights are 0 there, like zero padding after resizing.
        first, last: a range that contains ``source_range``.
        align_corners: as in ``torch.nn.functional.interpolate``.
        like: gives the dtype and device of the result.

    Returns:
        (stop - start, last - first)
    """
    sizes = in_size, out_size, start, stop, first, last, align_corners
    if is_symbolic():
        return _compute_matrix(torch, *sizes).to(like)
    # If ``like`` is of a subclass such as FakeTensor, new tensors are, too, and must not be cached.
    if type(like) in (Tensor, nn.Parameter) and (stop - start) * (last - first) <= LARGEST_CACHED:
        return _cached_matrix(*sizes, like.dtype, like.device)
    return torch.as_tensor(_compute_matrix(np, *sizes)).to(like)


@lru_cache(CACHED_MATRICES)
def _cached_matrix(in_size: int, out_size: int, start: int, stop: int, first: int, last: int, align_corners: bool,
                   dtype: torch.dtype, device: torch.device) -> Tensor:
    matrix = _compute_matrix(np, in_size, out_size, start, stop, first, last, align_corners)
    with torch.inference_mode(False):  # autograd could not use an inference tensor later
        return torch.as_tensor(matrix).to(device, dtype)


def _compute_matrix(library: Any, in_size: int, out_size: int, start: int, stop: int, first: int, last: int,
                    align_corners: bool) -> Any:
    """Compute the matrix with numpy, which is faster for small arrays, or with torch, which supports symbolic sizes."""
    position = library.arange(start, stop, dtype=library.float64)
    source = _source(position, in_size, out_size, align_corners).clip(0, in_size - 1)
    # A weight falls linearly from 1 to 0 over a distance of one position.
    matrix = (1 - abs(source[:, None] - library.arange(first, last))).clip(0)
    inside = (position >= 0) & (position < out_size)
    return matrix * inside[:, None]


def _source(position: Position, in_size: int, out_size: int, align_corners: bool) -> Position:
    """Return the input coordinate of an output position; the caller clamps it to the ends of the axis."""
    if align_corners:
        return position * (in_size - 1) / max(out_size - 1, 1)
    return (position + 0.5) * in_size / out_size - 0.5
