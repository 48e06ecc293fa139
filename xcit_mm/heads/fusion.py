"""A convolution over maps of different resolutions, as if they were all resized to the finest and concatenated."""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor

from ..ops.resized_convolution import convolve_resized
from .plain import activate, folded, norm_of


def fuse(module: ConvModule, levels: Sequence[Tensor], align_corners: bool) -> Tensor:
    """Return ``module(cat(levels, resized to the first))`` without ever holding the concatenated tensor.

    Args:
        module: 3x3 convolution (padding 1), norm, activation.
        levels: (B, C_i, h_i, w_i), the finest first.
        align_corners: passed to the bilinear resizing.

    Returns:
        (B, out, h_0, w_0)
    """
    whole = None if torch.is_grad_enabled() else folded(module)
    weight, bias = whole or (module.conv.weight, module.conv.bias)
    first, *others = weight.split([level.shape[1] for level in levels], dim=1)
    fused = F.conv2d(levels[0], first, bias, padding=1)
    height, width = fused.shape[2:]
    for level, part in zip(levels[1:], others):
        pixels = convolve_resized(level.permute(0, 2, 3, 1), part, (height, width), align_corners)
        fused = fused.add_(pixels.permute(0, 3, 1, 2))
    norm = None if whole else norm_of(module)
    return activate(module, norm(fused) if norm else fused)
