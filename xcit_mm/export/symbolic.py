"""Replacements for modules that cannot be traced with symbolic sizes."""
from __future__ import annotations

import torch.nn.functional as F
from mmseg.models.utils import Upsample
from torch import Tensor, nn

from ..ops.pooling import bin_shares


class MatrixPool2d(nn.Module):
    """``nn.AdaptiveAvgPool2d`` implemented as products with two small matrices computed from the map's size.

    ONNX has no adaptive pooling, so exporters support it only for fixed-size maps.

    Args:
        output_size: number of bins along both axes.

    Shape:
        (B, C, H, W) -> (B, C, output_size, output_size)
    """

    def __init__(self, output_size: int) -> None:
        super().__init__()
        self.output_size = output_size  # named as in PyTorch, because EfficientUPerHead reads it

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (bin_shares(self.output_size, side, x) for side in x.shape[-2:])
        return rows @ x @ columns.mT


class IntegerUpsample(nn.Module):
    """mmseg's ``Upsample`` by an integer factor, with sizes kept as integers because torch traces floats as constants.

    Shape:
        (B, C, H, W) -> (B, C, factor H, factor W)
    """

    def __init__(self, module: Upsample) -> None:
        super().__init__()
        self.factor, self.mode, self.align_corners = int(module.scale_factor), module.mode, module.align_corners

    def forward(self, x: Tensor) -> Tensor:
        size = [self.factor * side for side in x.shape[-2:]]
        return F.interpolate(x, size, mode=self.mode, align_corners=self.align_corners)
