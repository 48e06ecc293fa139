"""The published statistic: sums over all pixels of the image."""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.pooling import bin_shares
from ..ops.precision import at_least_float32, full_precision, widest_dtype
from ..ops.recording import is_symbolic
from ..ops.second_moment import second_moment
from .grid import TokenGrid
from .statistics import STATISTICS, BlendedMap, Moments, Pools, Statistics, ToMap

FEW_TOKENS = 256


class ImageMoments(Moments):
    """One second moment over all tokens (arXiv 2106.09681, section 3.2).

    Args:
        grid: gives each token its share of pixels with data as a weight; None stands for 1.
    """

    def __init__(self, grid: TokenGrid | None = None) -> None:
        self.grid = grid
        self.total: Tensor | None = None

    def collect(self, tokens: Tensor, start: int = 0) -> None:
        # With few tokens, the squares of a channel with small values are lost in the rounding errors of the other
        # channels. A compiled or traced graph must work for any number of tokens.
        widest = widest_dtype(tokens.device)
        x = tokens if is_symbolic() or tokens.shape[1] >= FEW_TOKENS else tokens.to(widest)
        part = second_moment(x, self._weights(x, start))
        # In float64, the number and order of the bands make no noticeable difference to the sum.
        self.total = part if self.total is None else self.total.to(widest) + part
        self.dtype = tokens.dtype

    def _weights(self, tokens: Tensor, start: int) -> Tensor | None:
        if self.grid is None:
            return None
        weights = self.grid.weights(start, start + tokens.shape[1] // self.grid.width)
        return None if weights is None else weights.expand(len(tokens), -1, -1)

    def reduce(self, to_map: ToMap) -> None:
        assert self.total is not None  # an image has at least one token
        weight, bias = to_map(self.total)
        self.map = BlendedMap(weight.to(self.dtype), bias.to(self.dtype))

    def maps(self, start: int = 0, stop: int | None = None) -> Sequence[BlendedMap]:
        return [self.map]


class ImagePools(Pools):
    """The mean of the pixels in each cell. Neighbouring cells can overlap.

    Args:
        bins: cells along each axis.
        height, width: size of the map, px.
        coverage: see ``Statistics``; it weighs the pixels. A cell without data gets the mean of the others.
    """

    def __init__(self, bins: int, height: int, width: int, coverage: Tensor | None = None) -> None:
        self.bins, self.height, self.width = bins, height, width
        self.coverage = None if coverage is None else F.adaptive_avg_pool2d(coverage[None], (height, width))[0]
        self.total: Tensor | None = None

    def collect(self, pixels: Tensor, start: int = 0) -> None:
        with full_precision(pixels.device):
            x = at_least_float32(pixels)
            if self.coverage is not None:
                x = x * self.coverage[start:start + x.shape[1], :, None].to(x)
            rows = bin_shares(self.bins, self.height, x)[:, start:start + x.shape[1]]
            across = (bin_shares(self.bins, self.width, x) @ x).flatten(2)  # (B, rows, bins * C)
            part = (rows @ across).unflatten(2, (self.bins, -1))  # (B, bins, bins, C)
        self.total = part if self.total is None else self.total + part
        self.dtype = pixels.dtype

    def reduce(self) -> Tensor:
        assert self.total is not None  # a map has at least one row
        if self.coverage is None:
            return self.total.to(self.dtype)
        coverage = self.coverage.to(self.total)
        rows, columns = (bin_shares(self.bins, side, coverage) for side in (self.height, self.width))
        with full_precision(coverage.device):
            weight = (rows @ coverage @ columns.mT)[..., None]  # (bins, bins, 1)
        mean = self.total.sum(dim=(1, 2), keepdim=True) / weight.sum()
        return torch.where(weight > 0, self.total / weight, mean).to(self.dtype)


@STATISTICS.register_module(name='image')
class ImageStatistics(Statistics):
    """Sums over the whole image, as in the published method."""

    is_published, pools_are_published = True, True

    def moments(self, block: int, height: int, width: int) -> ImageMoments:
        return ImageMoments(None if self.coverage is None else self.grid)

    def pools(self, bins: int, height: int, width: int) -> ImagePools:
        return ImagePools(bins, height, width, self.coverage)
