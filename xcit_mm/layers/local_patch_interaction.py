"""Local patch interaction, LPI (arXiv 2106.09681, section 3.3)."""
from __future__ import annotations

from torch import Tensor, nn

from ..ops.folding import fold_scale
from ..ops.layouts import to_map
from ..ops.saving import Step, run_chain
from .bricks import build_norm


class LocalPatchInteraction(nn.Module):
    """Two depthwise 3x3 convolutions with GELU and a norm between them.

    XCA exchanges information between tokens only through a C x C sum; LPI mixes neighbouring tokens.

    Args:
        embed_dim: channels C of a token.
        norm_cfg: MM config of the norm.

    Shape:
        (B, N, C) with N = height * width in row-major order -> (B, N, C)
    """

    def __init__(self, embed_dim: int, norm_cfg: dict) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(embed_dim, embed_dim, 3, padding=1, groups=embed_dim)
        self.act = nn.GELU()
        self.bn = build_norm(norm_cfg, embed_dim)
        self.conv2 = nn.Conv2d(embed_dim, embed_dim, 3, padding=1, groups=embed_dim)

        for conv in (self.conv1, self.conv2):
            # Match the gradient's layout on channels-last maps; otherwise DDP copies the gradient and issues a warning.
            # The layouts are equivalent because the second dimension is 1.
            conv.weight = nn.Parameter(conv.weight.detach().as_strided((embed_dim, 1, 3, 3), (9, 1, 3, 1)))

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        return run_chain(x, *self.steps(height, width))

    def steps(self, height: int, width: int, scale: Tensor | None = None) -> tuple[Step, ...]:
        """Return the steps of ``forward``, the last one followed by a scale (C,)."""
        last = fold_scale(self.conv2, scale)

        def first(x: Tensor) -> Tensor:
            return self.conv1(to_map(x, height, width))

        return first, self.act, self.bn, lambda x: last(x).flatten(2).transpose(1, 2)  # back to (B, N, C)
