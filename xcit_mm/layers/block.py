"""One XCiT block: XCA, then LPI, then an MLP (arXiv 2106.09681, figure 1)."""
from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..ops.activation import gelu_
from ..ops.folding import fold_scale
from ..ops.modification import can_bypass, find_modification
from ..ops.precision import is_half_precision
from ..ops.products import CHUNK_TOKENS, as_function
from ..ops.recording import is_recorded
from ..ops.saving import Step, run_chain, saves_less
from ..statistics import Moments
from .bricks import build_drop_path
from .cross_covariance_attention import CrossCovarianceAttention
from .local_patch_interaction import LocalPatchInteraction

MLP_RATIO = 4
LAYER_NORM_EPS = 1e-6


class MLP(nn.Module):
    """Linear, GELU, linear, with a hidden width of ``MLP_RATIO * embed_dim``: (B, N, C) -> (B, N, C)."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dim, MLP_RATIO * embed_dim)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(MLP_RATIO * embed_dim, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        return run_chain(x, *self.steps())

    def steps(self, scale: Tensor | None = None) -> tuple[Step, ...]:
        """Return the steps of ``forward``, the last one followed by a scale (C,)."""
        return as_function(self.fc1), self.act, fold_scale(self.fc2, scale)

    def infer(self, x: Tensor) -> Tensor:
        """Return ``forward(x)``, (…, C) -> (…, C), for an unmodified MLP in inference: GELU overwrites its input."""
        return as_function(self.fc2)(gelu_(as_function(self.fc1)(x), self.act.approximate))


MLP_PARTS = (MLP, nn.Linear, nn.GELU)


class XCiTBlock(nn.Module):
    """Three residual branches, each with a norm at its start and a per-channel scale at its end.

    In the published weights, norms and scales are not numbered in execution order: 1 belongs to XCA, 3 to LPI and 2 to
    the MLP. The names are kept so that the weights load unchanged.

    Args:
        embed_dim: channels C of a token.
        num_heads: attention heads.
        layer_scale_init: initial value of the three scales.
        drop_path_rate: probability of skipping a branch, per image, in training.
        norm_cfg: MM config of LPI's norm.
        attention: form of XCA: ``'auto'``, ``'gram'`` or ``'direct'``.
        attn_drop_rate: dropout rate of XCA's maps.

    Shape:
        (B, N, C) with N = height * width in row-major order -> (B, N, C)
    """

    def __init__(self, embed_dim: int, num_heads: int, layer_scale_init: float, drop_path_rate: float,
                 norm_cfg: dict, attention: str = 'auto', attn_drop_rate: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, eps=LAYER_NORM_EPS)
        self.attn = CrossCovarianceAttention(embed_dim, num_heads, attention, attn_drop_rate)
        self.norm3 = nn.LayerNorm(embed_dim, eps=LAYER_NORM_EPS)
        self.local_mp = LocalPatchInteraction(embed_dim, norm_cfg)
        self.norm2 = nn.LayerNorm(embed_dim, eps=LAYER_NORM_EPS)
        self.mlp = MLP(embed_dim)
        self.gamma1, self.gamma3, self.gamma2 = (
            nn.Parameter(torch.full((embed_dim, ), layer_scale_init)) for _ in range(3))
        self.drop_path = build_drop_path(drop_path_rate)

    def forward(self, x: Tensor, height: int, width: int, moments: Moments | None = None) -> Tensor:
        scale = self.drop_path(self.gamma1.expand(x.shape[0], 1, -1))  # (B, 1, C); zeros skip the branch for an image
        if can_bypass(self.attn, CrossCovarianceAttention):
            x = run_chain(x, self.norm1, partial(self.attn.add_to, x, scale=scale, moments=moments))
        elif moments is not None:
            raise InputError("statistics other than 'image' need plain cross-covariance attention without hooks, but "
                             f"the attention of a block is a modified {type(self.attn).__name__}; use "
                             "statistics='image'")
        else:  # hooks and subclasses take effect only in a call
            x = torch.addcmul(x, scale, run_chain(x, self.norm1, self.attn))
        x = self._add(x, self.norm3, self.local_mp, self.gamma3, height, width)
        in_chunks = x.device.type == 'cpu' and not (self.training or is_recorded())
        plain = can_bypass(self.mlp, MLP) and can_bypass(self.norm2, nn.LayerNorm)
        if not in_chunks or not plain or find_modification(self.mlp, MLP_PARTS):
            return self._add(x, self.norm2, self.mlp, self.gamma2)
        x = x.contiguous()  # a norm of the stem may have changed the layout
        self.add_mlp_(x)
        return x

    def _add(self, x: Tensor, norm: nn.Module, branch: Any, scale: Tensor, *size: int) -> Tensor:
        """Return ``x + scale * branch(norm(x), *size)``, with stochastic depth."""
        if not can_bypass(branch, MLP, LocalPatchInteraction):
            return torch.addcmul(x, scale, self.drop_path(run_chain(x, norm, lambda normed: branch(normed, *size))))
        *_, last = branch.children()
        if saves_less(x) and not is_half_precision(x) and can_bypass(last, nn.Linear, nn.Conv2d):
            return x + self.drop_path(run_chain(x, norm, *branch.steps(*size, scale=scale)))
        return torch.addcmul(x, scale, self.drop_path(run_chain(x, norm, *branch.steps(*size))))

    def add_mlp_(self, x: Tensor) -> None:
        """Add the branch of an unmodified MLP to contiguous x (…, C), in place and in chunks; for inference only."""
        for tokens in x.view(-1, x.shape[-1]).split(CHUNK_TOKENS):
            tokens.addcmul_(self.gamma2, self.mlp.infer(self.norm2(tokens)))
