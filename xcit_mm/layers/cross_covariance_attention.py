"""Cross-covariance attention, XCA (arXiv 2106.09681, section 3.2)."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CrossCovarianceAttention(nn.Module):
    """Attention among channels: its cost is linear in the number of tokens.

    Per head, with every channel of q and k scaled to unit L2 norm over the tokens, the d x d map
    ``softmax(temperature * q k^T)`` mixes the channels of v.

    Args:
        embed_dim: channels C of a token.
        num_heads: heads H; d = C / H.

    Shape:
        (B, N, C) -> (B, N, C)
    """

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.qkv = nn.Linear(embed_dim, 3 * embed_dim)
        self.proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, num_tokens, embed_dim = x.shape
        # (B, N, 3 C) -> (3, B, H, d, N)
        query, key, value = self.qkv(x).view(batch, num_tokens, 3, self.num_heads, -1).permute(2, 0, 3, 4, 1)
        query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        attention = (query @ key.transpose(-2, -1) * self.temperature).softmax(dim=-1)  # (B, H, d, d)
        # (B, H, d, N) -> (B, N, C)
        mixed = (attention @ value).permute(0, 3, 1, 2).reshape(batch, num_tokens, embed_dim)
        return self.proj(mixed)
