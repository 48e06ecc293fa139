"""Adaptive average pooling along one axis as a small matrix that can be applied to one part of the axis at a time."""
from __future__ import annotations

import torch
from torch import Tensor


def bin_shares(bins: int, side: int, like: Tensor) -> Tensor:
    """Return how much each position contributes to the mean of each bin, using the same bins as ``AdaptiveAvgPool2d``.

    Args:
        bins: number of bins; neighbouring bins can overlap.
        side: length of the axis.
        like: gives the dtype and device of the result.

    Returns:
        (bins, side); each row sums to 1.
    """
    index, position = torch.arange(bins)[:, None], torch.arange(side)
    start, stop = index * side // bins, ((index + 1) * side + bins - 1) // bins
    inside = (position >= start) & (position < stop)
    return inside.to(like) / (stop - start).to(like)
