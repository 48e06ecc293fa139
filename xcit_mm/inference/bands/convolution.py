"""Run mmcv's convolutions in bands of rows."""
from __future__ import annotations

from types import NoneType

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from ...errors import InputError
from ...heads.plain import PARTS, activate, folded, is_foldable_module, is_plain
from ...ops.modification import find_modification
from ...ops.products import linear
from ...ops.row_operations import Convolution, Pointwise
from ...ops.rows import Rows


def check_convolutions(part: nn.Module) -> None:
    """Raise ``InputError`` unless every convolution of a neck or a head can run in bands."""
    modification = find_modification(part, (type(part), *PARTS), skip=('loss_decode', 'sampler'))
    if type(getattr(part, 'dropout', None)) not in (nn.Dropout2d, NoneType):  # any other layer would be left out
        modification = f'dropout is a {type(part.dropout).__name__}'
    if modification:
        raise InputError(f'cannot run {type(part).__name__} in bands of rows: {modification}; use mode whole')
    for name, module in part.named_modules():
        if isinstance(module, nn.Conv2d) and not is_plain(module) or (
                isinstance(module, ConvModule) and not is_foldable_module(module)):
            raise InputError(f'cannot run {type(part).__name__} in bands of rows: {name} is more than a plain '
                             'convolution with a batch norm; use mode whole')


def convolve(source: Rows, module: ConvModule | nn.Conv2d) -> Rows:
    """Apply a 1x1 or 3x3 convolution with its norm and activation."""
    weight, bias = folded_weight(module)
    if weight.shape[2:] == (1, 1):
        return Pointwise(source, lambda x: activate(module, linear(x, weight.flatten(1), bias)))
    return Convolution(source, weight, bias, lambda x: activate(module, x))


def folded_weight(module: ConvModule | nn.Conv2d) -> tuple[Tensor, Tensor | None]:
    """Return the weight and the bias of a module that has passed ``check_convolutions``."""
    whole = folded(module)
    assert whole  # see check_convolutions
    return whole
