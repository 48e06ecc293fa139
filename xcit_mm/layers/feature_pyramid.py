"""Resample maps from the patch stride to the strides that dense heads expect."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.products import CHUNK_TOKENS, linear, uses_onednn
from ..ops.recording import is_recorded
from ..ops.saving import run_chain
from .bricks import build_norm

PYRAMID_STRIDES = (4, 8, 16, 32, 64)  # of fpn1 … fpn5, in pixels; the published models have the first four


class MaxPool(nn.Module):
    """Max pooling with kernel and stride ``factor`` that leaves at least one pixel per side.

    Shape:
        (B, C, H, W) -> (B, C, max(H // factor, 1), max(W // factor, 1))
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, kernel_size=[min(self.factor, side) for side in x.shape[-2:]])

    def extra_repr(self) -> str:
        return f'factor={self.factor}'


class Upsampling(nn.Sequential):
    """A sequence of layers that saves less for the backward pass (see ``run_chain``)."""

    def forward(self, x: Tensor) -> Tensor:
        return run_chain(x, *self)


class Upsample2x(nn.ConvTranspose2d):
    """A 2x2 transposed convolution with stride 2, usually computed as two matrix products.

    The 2x2 outputs of different pixels do not overlap, so one linear map turns each pixel into a 2x2 block. Except
    for inference with oneDNN, this is faster than torch's transposed convolution. A channels-last map stays so.

    Shape:
        (B, C, H, W) -> (B, C, 2 H, 2 W)
    """
    bias: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, kernel_size=2, stride=2)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # the output size is fixed
        if not is_recorded() and uses_onednn(x, self.weight):  # a faster forward pass, but a slower backward pass
            return super().forward(x)
        tokens = x.permute(0, 2, 3, 1)  # (B, H, W, C)
        # Two linear maps turn each row of pixels into two rows: (W, C) -> (W, column, C).
        weights = self.weight.permute(2, 3, 1, 0).flatten(1, 2)  # (C, C, row, column) -> (row, column C, C)
        bias = self.bias.repeat(2)
        if is_recorded() or torch.is_autocast_enabled(x.device.type):
            x = torch.stack([linear(tokens, weight, bias) for weight in weights.unbind()], dim=2)
        else:  # copy each product into place while it is in cache; the dtype under autocast is not known before
            x = tokens.new_empty(*tokens.shape[:2], 2, tokens.shape[2], len(bias))  # (B, H, row, W, column C)
            step = max(CHUNK_TOKENS // tokens.shape[2], 1)
            for source, target in zip(tokens.flatten(0, 1).split(step), x.flatten(0, 1).split(step)):
                for row, weight in enumerate(weights):
                    target[:, row] = linear(source, weight, bias)
        return x.unflatten(-1, (2, -1)).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)  # (B, C, 2 H, 2 W)


def build_resampler(channels: int, in_stride: int, out_stride: int, norm_cfg: dict) -> nn.Module:
    """Build a module that resamples a map from one power-of-two stride to another.

    A coarser stride uses a single max-pooling layer, an unchanged stride uses an identity, and a finer stride uses one
    2x2 transposed convolution per factor of two, with a norm and GELU in between. For 16 px and 8 px patches, these
    modules match ``fpn1 … fpn4`` in the authors' dense backbone.

    Args:
        channels: C of both input and output.
        in_stride, out_stride: image pixels per pixel of the map.
        norm_cfg: MM config of the norm.

    Shape:
        (B, C, H, W) -> (B, C, H in_stride / out_stride, W in_stride / out_stride), rounded down, at least 1
    """
    if out_stride > in_stride:
        return MaxPool(out_stride // in_stride)
    layers: list[nn.Module] = []
    for _ in range((in_stride // out_stride).bit_length() - 1):
        if layers:
            layers += [build_norm(norm_cfg, channels), nn.GELU()]
        layers.append(Upsample2x(channels))
    return Upsampling(*layers) if layers else nn.Identity()
