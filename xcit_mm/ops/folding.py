"""A convolution and the batch norm behind it as one convolution."""
from __future__ import annotations

from typing import TypeGuard

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def fold_batch_norm(conv: nn.Conv2d, norm: nn.Module | None) -> tuple[Tensor, Tensor | None] | None:
    """Weight and bias of the convolution that both are together in inference.

    Args:
        conv: weight (out, in / groups, kh, kw), and perhaps a bias.
        norm: None for none.

    Returns:
        (out, in / groups, kh, kw) and (out,) or None; or None where the norm depends on its input.
    """
    weight, bias = conv.weight, conv.bias
    if not is_foldable(norm):
        return None
    if norm is None:
        return weight, bias
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None  # they are tracked
    scale = norm.weight * (variance + norm.eps).rsqrt()  # (out,)
    shift = norm.bias - mean * scale
    if bias is not None:
        shift = shift + bias * scale
    # A norm may stay in float32 beside half-precision convolutions.
    return (weight * scale[:, None, None, None]).to(weight.dtype), shift.to(weight.dtype)


def is_foldable(norm: nn.Module | None) -> TypeGuard[_BatchNorm | None]:
    """Whether a norm is the same scale and shift for every input."""
    return norm is None or (isinstance(norm, _BatchNorm) and not norm.training and norm.affine
                            and norm.track_running_stats)
