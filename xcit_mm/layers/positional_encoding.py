"""Fourier encoding of the token grid (arXiv 2106.09681, section 3.3, following 1706.03762)."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ops.layouts import to_batch
from ..ops.modification import can_bypass

NUM_FREQUENCIES = 32  # features per axis: sines and cosines, interleaved
TEMPERATURE = 10000.0  # ratio of the longest to the shortest wavelength


class PositionalEncoding(nn.Module):
    """Sines and cosines of the row and column, projected to the token width.

    The encoding depends only on the size of the grid: all images in a batch share it, and a model trained at one
    resolution can run at any other.

    Args:
        embed_dim: channels C of a token.

    Shape:
        ``forward(height, width)`` -> (height * width, C), in row-major order.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.token_projection = nn.Conv2d(2 * NUM_FREQUENCIES, embed_dim, kernel_size=1)

    def encode_axis(self, length: int) -> Tensor:
        """Encode positions 1 … length, scaled to end at 2 pi: (length, NUM_FREQUENCIES), float32."""
        weight = self.token_projection.weight
        position = torch.arange(1, length + 1, device=weight.device, dtype=torch.float32)
        position = position / (length + 1e-6) * (2 * math.pi)
        pair = torch.arange(NUM_FREQUENCIES // 2, device=weight.device, dtype=torch.float32)
        angle = position[:, None] / TEMPERATURE**(2 * pair / NUM_FREQUENCIES)
        return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)

    def forward(self, height: int, width: int) -> Tensor:
        # Blocks add to the encoded tokens, and would lose small terms if autocast made the tokens half precision.
        with torch.autocast(self.token_projection.weight.device.type, enabled=False):
            return self._encode(height, width)

    def _encode(self, height: int, width: int) -> Tensor:
        if not can_bypass(self.token_projection, nn.Conv2d) or self.token_projection.kernel_size != (1, 1):
            return self._project_everywhere(height, width)
        # The published 1x1 convolution over (row features, column features) equals the sum of two linear maps, one per
        # axis, which are applied to height + width positions instead of height * width.
        weight = self.token_projection.weight.flatten(1)  # (C, 2 F)
        row_weight, column_weight = weight.split(NUM_FREQUENCIES, dim=1)
        rows = F.linear(self.encode_axis(height).to(weight.dtype), row_weight)  # (height, C)
        columns = F.linear(
            self.encode_axis(width).to(weight.dtype), column_weight, self.token_projection.bias)
        return (rows[:, None] + columns).flatten(0, 1)  # (height, width, C) -> (N, C)

    def _project_everywhere(self, height: int, width: int) -> Tensor:
        """Call the projection, which has an adapter or a hook, on the features of every position."""
        rows = self.encode_axis(height).to(self.token_projection.weight.dtype)
        columns = self.encode_axis(width).to(rows.dtype)
        features = torch.cat((rows[:, None].expand(-1, width, -1), columns.expand(height, -1, -1)), dim=-1)
        return self.token_projection(to_batch(features))[0].flatten(1).T
