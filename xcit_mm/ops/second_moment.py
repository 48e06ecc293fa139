"""The second moment of the tokens, which cross-covariance attention depends on."""
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .precision import at_least_float32, full_precision
from .products import affine, gram


def second_moment(x: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sum x' x'^T over the tokens, where x' is a token with a 1 appended.

    An image's moment is the sum of the moments of its parts.

    Args:
        x: (B, N, C).
        weight: (B, N, 1), non-negative, without gradient, in any floating-point dtype; None stands for 1.

    Returns:
        (B, C + 1, C + 1), in float32, or in float64 if x is float64. In half precision, large sums would overflow
        and small differences between them would be rounded away.
    """
    with full_precision(x.device):
        weight = None if weight is None else weight.to(at_least_float32(x[:, :0]))
        root = None if weight is None else weight.sqrt()
        scaled = x if root is None else at_least_float32(x) * root
        # A trace that contains a custom autograd function cannot be saved.
        products, total = _GramAndSum.forward(scaled) if torch.jit.is_tracing() else _GramAndSum.apply(scaled)
        if root is None or weight is None:
            count = total.new_full((x.shape[0], 1, 1), x.shape[1])
        else:
            total, count = root.mT @ scaled, weight.sum(dim=1, keepdim=True)
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
        x = at_least_float32(x)
        return gram(x), x.sum(dim=1, keepdim=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad_products: Tensor, grad_total: Tensor) -> Tensor:
        x, = ctx.saved_tensors
        with full_precision(x.device):
            return affine(at_least_float32(x), grad_products + grad_products.mT, grad_total).to(x.dtype)
