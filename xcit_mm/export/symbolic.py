"""Modules that stand for others in a graph that does not know the size of its maps."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.models.utils import Upsample
from torch import Tensor, nn


class MatrixPool2d(nn.Module):
    """``nn.AdaptiveAvgPool2d`` as two small matrix products, whose entries follow from the size of the map.

    ONNX has no adaptive pooling: an exporter can write one only for maps of a fixed size.

    Args:
        bins: number of bins along both axes.

    Shape:
        (B, C, H, W) -> (B, C, bins, bins)
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (self._shares(side).to(x) for side in x.shape[-2:])
        return rows @ x @ columns.mT

    def _shares(self, side: int) -> Tensor:
        """What each position of an axis counts in the mean of each bin: (bins, side). Bins may overlap."""
        index, position = torch.arange(self.bins)[:, None], torch.arange(side)
        start, stop = index * side // self.bins, ((index + 1) * side + self.bins - 1) // self.bins
        inside = (position >= start) & (position < stop)
        return inside / (stop - start)


class IntegerUpsample(nn.Module):
    """mmseg's ``Upsample`` by a whole factor, with the size in whole numbers: through a float it becomes a constant.

    Shape:
        (B, C, H, W) -> (B, C, factor H, factor W)
    """

    def __init__(self, module: Upsample) -> None:
        super().__init__()
        self.factor, self.mode, self.align_corners = int(module.scale_factor), module.mode, module.align_corners

    def forward(self, x: Tensor) -> Tensor:
        size = [self.factor * side for side in x.shape[-2:]]
        return F.interpolate(x, size, mode=self.mode, align_corners=self.align_corners)
