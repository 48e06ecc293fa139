"""Fold a batch norm or a scale into the preceding layer."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeGuard

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .products import as_function, linear


def fold_batch_norm(conv: nn.Conv2d, norm: nn.Module | None) -> tuple[Tensor, Tensor | None] | None:
    """Return the weight and bias of the single convolution equivalent to ``norm(conv(x))`` during inference.

    Args:
        conv: a convolution with weight (out, in / groups, kh, kw) and an optional bias.
        norm: the norm after it, or None.

    Returns:
        Weight (out, in / groups, kh, kw) and bias, which is (out,) or None. If the norm depends on its input, None
        instead of the pair.
    """
    weight, bias = conv.weight, conv.bias
    if not is_foldable(norm):
        return None
    if norm is None:
        return weight, bias
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None  # is_foldable requires running statistics
    scale = norm.weight * (variance + norm.eps).rsqrt()  # (out,)
    shift = norm.bias - mean * scale
    if bias is not None:
        shift = shift + bias * scale
    # A norm may stay in float32 when convolutions are in half precision.
    return (weight * scale[:, None, None, None]).to(weight.dtype), shift.to(weight.dtype)


def is_foldable(norm: nn.Module | None) -> TypeGuard[_BatchNorm | None]:
    """Return whether a norm applies the same scale and shift to every input."""
    return norm is None or (isinstance(norm, _BatchNorm) and not norm.training and norm.affine
                            and norm.track_running_stats)


def fold_scale(layer: nn.Linear | nn.Conv2d, scale: Tensor | None) -> Callable[[Tensor], Tensor]:
    """Return the function ``layer(x) * scale``, with one factor for each output channel; None stands for 1.

    The scale multiplies the weight, so its gradient does not need the layer's output.
    """
    if scale is None:
        return as_function(layer)
    weight = layer.weight * scale.view(-1, *[1] * (layer.weight.ndim - 1))
    bias = None if layer.bias is None else layer.bias * scale
    if isinstance(layer, nn.Linear):
        return partial(linear, weight=weight, bias=bias)
    return partial(layer._conv_forward, weight=weight, bias=bias)
