"""The convolutional stem (arXiv 2106.09681, section 3.3 and appendix)."""
from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..ops.activation import gelu_
from ..ops.folding import fold_batch_norm
from ..ops.modification import can_bypass, find_modification
from ..ops.recording import is_recorded
from ..ops.saving import run_chain, saves_less
from .bricks import build_norm


class ConvNorm(nn.Sequential):
    """A convolution without bias, followed by a norm.

    During inference, a batch norm is folded into the convolution, which saves a pass over the network's largest maps.
    """

    def forward(self, x: Tensor) -> Tensor:
        conv, norm = self
        plain = can_bypass(conv, nn.Conv2d) and can_bypass(norm, type(norm))
        if not is_recorded() and plain and (folded := fold_batch_norm(cast(nn.Conv2d, conv), norm)):
            return cast(nn.Conv2d, conv)._conv_forward(x, *folded)
        return super().forward(x)


STAGE_PARTS = (ConvNorm, nn.Conv2d, nn.BatchNorm2d, nn.SyncBatchNorm)


class PatchEmbedding(nn.Module):
    """log2(patch) stages, each a 3x3 convolution with stride 2 and a norm, with GELU between stages.

    Each stage doubles the number of channels; the last one outputs ``embed_dim``.

    Args:
        embed_dim: channels C of a token.
        patch_size: total stride, a power of two.
        norm_cfg: MM config of the norm after each convolution.
        in_channels: channels of the image.

    Shape:
        (B, in_channels, H, W) -> (B, C, ceil(H / patch), ceil(W / patch)), in channels-last memory.
    """

    def __init__(self, embed_dim: int, patch_size: int, norm_cfg: dict, in_channels: int = 3) -> None:
        super().__init__()
        num_stages = patch_size.bit_length() - 1
        self.in_channels = in_channels
        widths = [in_channels] + [embed_dim >> (num_stages - 1 - i) for i in range(num_stages)]
        layers: list[nn.Module] = []
        for width, next_width in zip(widths[:-1], widths[1:]):
            # Published names: proj.0.0 is a convolution, proj.0.1 its norm, proj.1 a GELU, ...
            layers.append(ConvNorm(
                nn.Conv2d(width, next_width, 3, stride=2, padding=1, bias=False),
                build_norm(norm_cfg, next_width)))
            layers.append(nn.GELU())
        self.proj = nn.Sequential(*layers[:-1])

    def forward(self, image: Tensor) -> Tensor:
        if not torch.jit.is_tracing():  # tracing the comparison would cause a warning
            self.check_channels(image.shape[1])
        # The image has few channels, so converting it is cheap, and the (B, N, C) tokens become a view of the result.
        image = image.contiguous(memory_format=torch.channels_last)
        if not can_bypass(self.proj, nn.Sequential):
            return self.proj(image)
        if not is_recorded():
            return self._infer(image)
        if not saves_less(image):
            return self.proj(image)
        steps: list[nn.Module] = []
        for layer in self.proj:
            steps += layer.children() if can_bypass(layer, ConvNorm) else [layer]
        return run_chain(image, *steps)

    def _infer(self, x: Tensor) -> Tensor:
        """Run the layers; a GELU overwrites the output of a plain convolution."""
        overwrites = False
        for layer in self.proj:
            if overwrites and isinstance(layer, nn.GELU) and can_bypass(layer, nn.GELU):
                x = gelu_(x, layer.approximate)
            else:
                x = layer(x)
            overwrites = not find_modification(layer, STAGE_PARTS)
        return x

    def check_channels(self, channels: int) -> None:
        """Raise ``InputError`` unless an image has the number of channels the stem expects."""
        if channels != self.in_channels:
            raise InputError(f'the image has {channels} channels, but the backbone expects {self.in_channels}; set '
                             f'model.backbone.in_channels={channels}, or change the pipeline or data_preprocessor')
