"""Recognise convolutions that are just a weight and a bias, so that they can be computed differently."""
from __future__ import annotations

from typing import Any

from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.wrappers import Conv2d as MMCVConv2d
from mmseg.models.decode_heads.psp_head import PPM
from mmseg.models.utils import Upsample
from torch import Tensor, nn

from ..ops.folding import fold_batch_norm, is_foldable
from ..ops.modification import find_modification


def is_plain(module: nn.Module) -> bool:
    """Return whether a convolution is ordinary: stride 1, no dilation, one group, and half a kernel of zero padding."""
    return (isinstance(module, nn.Conv2d) and type(module) in (nn.Conv2d, MMCVConv2d)
            and module.padding_mode == 'zeros' and module.groups == 1 and module.stride == module.dilation == (1, 1)
            and module.padding == tuple(side // 2 for side in module.kernel_size))


# The types that make up a head or a neck; a module of any other type could compute anything.
CONVOLUTIONS = (nn.Conv2d, MMCVConv2d)
NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)
# Elementwise activations, which work in any memory layout
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Sigmoid, nn.Tanh)
PARTS = (*CONVOLUTIONS, *NORMS, *ACTIVATIONS, ConvModule, nn.ModuleList, nn.Sequential, nn.Identity, nn.Dropout2d,
         nn.AdaptiveAvgPool2d, PPM, Upsample)


def is_unmodified_part(module: nn.Module) -> bool:
    """Return whether a part of a head consists of known modules without hooks, adapters or parametrisations."""
    return find_modification(module, PARTS) is None


def is_foldable_module(module: ConvModule) -> bool:
    """Return whether a ``ConvModule`` is a convolution, a batch norm in eval mode and an activation, in that order."""
    return module.order == ('conv', 'norm', 'act') and is_foldable(norm_of(module))


def norm_of(module: Any) -> nn.Module | None:
    """Return the norm of a ``ConvModule``; None if there is no norm, or if the module is a bare convolution."""
    return module.norm if getattr(module, 'with_norm', False) else None


def folded(module: ConvModule | nn.Conv2d) -> tuple[Tensor, Tensor | None] | None:
    """Return the weight and bias with the batch norm folded in, or None if the norm depends on the input."""
    return fold_batch_norm(getattr(module, 'conv', module), norm_of(module))


def activate(module: Any, x: Tensor) -> Tensor:
    """Apply a ``ConvModule``'s activation to x, in any memory layout; a bare convolution has none."""
    return module.activate(x) if getattr(module, 'with_activation', False) else x
