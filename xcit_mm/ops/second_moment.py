"""The second moment of the tokens, which cross-covariance attention depends on."""
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .precision import full_precision


def second_moment(x: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sum x' x'^T over the tokens, where x' is a token with a 1 appended.

    An image's moment is the sum of the moments of its parts.

    Args:
        x: (B, N, C).
        weight: (B, N, 1), non-negative, without gradient; None stands for 1.

    Returns:
        (B, C + 1, C + 1), in float32, or in float64 if x is float64. In half precision, large sums would overflow
        and small differences between them would be rounded away.
    """
    with full_precision(x.device):
        root = None if weight is None else _to_float(weight).sqrt()
        scaled = x if root is None else _to_float(x) * root
        # A trace that contains a custom autograd function cannot be saved.
        products, total = _GramAndSum.forward(scaled) if torch.jit.is_tracing() else _GramAndSum.apply(scaled)
        if root is None or weight is None:
            count = total.new_full((x.shape[0], 1, 1), x.shape[1])
        else:
            total, count = root.mT @ scaled, _to_float(weight).sum(dim=1, keepdim=True)
        upper = torch.cat((products, total.mT), dim=2)  # (B, C, C + 1)
        lower = torch.cat((total, count), dim=2)  # (B, 1, C + 1)
        return torch.cat((upper, lower), dim=1)


class _GramAndSum(torch.autograd.Function):
    """x^T x and the sum of x over the tokens, in at least float32: (B, N, C) -> (B, C, C), (B, 1, C).

    x is saved for the backward pass in its original dtype. Because x^T x is symmetric, the backward pass needs one
    product instead of two, and that product also adds the gradient of the sum.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        x = _to_float(x)
        half = x.shape[-1] // 2
        left, right = x[..., :half], x[..., half:]
        upper = left.mT @ x  # the remaining quarter of the products follows by symmetry
        lower = torch.cat((upper[..., half:].mT, right.mT @ right), dim=2)
        return torch.cat((upper, lower), dim=1), x.sum(dim=1, keepdim=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad_products: Tensor, grad_total: Tensor) -> Tensor:
        x, = ctx.saved_tensors
        with full_precision(x.device):
            return torch.baddbmm(grad_total, _to_float(x), grad_products + grad_products.mT).to(x.dtype)


def _to_float(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
