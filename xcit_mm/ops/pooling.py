"""Average pooling: adaptive, along one axis and one part of it at a time, and over blocks."""
from __future__ import annotations

import torch
import torch.nn.functional as F
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


def block_means(x: Tensor, side: int) -> Tensor:
    """Return the mean of each square block; blocks at the bottom and right edges can be smaller.

    Args:
        x: (H, W), in a floating-point dtype.
        side: side of a block, px.

    Returns:
        (ceil(H / side), ceil(W / side))
    """
    return F.avg_pool2d(x[None], side, ceil_mode=True, count_include_pad=False)[0]
