"""A convolution and the batch norm behind it as one convolution."""
from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def fold_batch_norm(conv: nn.Module, norm: nn.Module | None) -> tuple[Tensor, Tensor | None] | None:
    """Weight and bias of the convolution that both are together in inference.

    Args:
        conv: weight (out, in / groups, kh, kw), and perhaps a bias.
        norm: None for none.

    Returns:
        (out, in / groups, kh, kw) and (out,) or None; or None where the norm depends on its input.
    """
    weight, bias = conv.weight, conv.bias
    if norm is None:
        return weight, bias
    if not isinstance(norm, _BatchNorm) or norm.training or not norm.affine or not norm.track_running_stats:
        return None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()  # (out,)
    shift = norm.bias - norm.running_mean * scale
    if bias is not None:
        shift = shift + bias * scale
    # A norm may stay in float32 beside half-precision convolutions.
    return weight * scale.to(weight.dtype)[:, None, None, None], shift.to(weight.dtype)
