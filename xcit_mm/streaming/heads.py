"""UPerHead and Semantic FPN over rows: the modules' own weights, in the order of their own forward passes."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import FPNHead, UPerHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.necks import FPN
from mmseg.models.utils import Upsample
from torch import Tensor, nn

from ..errors import InputError
from ..heads.interpolation import source_range
from ..heads.resized_convolution import convolve_resized
from ..layers.folding import fold_batch_norm
from .rows import Convolution, Pointwise, Resized, Rows, Stored, Sum


def compute_logits(neck: nn.Module | None, head: BaseDecodeHead, levels: Sequence[Rows]) -> Rows:
    """What ``head(neck(levels))`` returns, as rows.

    Raises:
        InputError: another head or neck than those of this package's configs.
    """
    if neck is not None:
        if not isinstance(neck, FPN) or neck.num_outs != len(levels):
            raise InputError(f'no bands of rows for the neck {type(neck).__name__}: take mode whole or slide')
        levels = _feature_pyramid(neck, levels)
    levels = [levels[index] for index in head.in_index]
    if isinstance(head, UPerHead):
        features = _uper_features(head, levels)
    elif isinstance(head, FPNHead):
        features = _fpn_features(head, levels)
    else:
        raise InputError(f'no bands of rows for the head {type(head).__name__}: take mode whole or slide')
    return _convolve(features, head.conv_seg)


class Fused(Rows):
    """A convolution over several maps, as if all were resized to the first and concatenated: see ``heads.fusion``."""

    def __init__(self, levels: Sequence[Rows], channels: Sequence[int], module: ConvModule,
                 align_corners: bool) -> None:
        super().__init__(levels[0].height, levels[0].width)
        weight, bias = _folded(module.conv, module.norm if module.with_norm else None)
        first, *self.weights = weight.split(list(channels), dim=1)
        self.finest = Convolution(levels[0], first, bias, function=lambda y: y).reader()
        self.levels = [(level.height, level.reader()) for level in levels[1:]]
        self.module, self.align_corners = module, align_corners

    def compute(self, start: int, stop: int) -> Tensor:
        fused = self.finest.read(start, stop).clone()
        for (height, level), weight in zip(self.levels, self.weights):
            first, last = source_range(height, self.height, start - 1, stop + 1, self.align_corners)
            fused += convolve_resized(level.read(first, last)[None], weight, (self.height, self.width),
                                      self.align_corners, rows=(start, stop), in_rows=(first, height))[0]
        return self.module.activate(fused) if self.module.with_activation else fused


def _uper_features(head: UPerHead, levels: Sequence[Rows]) -> Rows:
    laterals = [_convolve(level, conv) for level, conv in zip(levels, head.lateral_convs)]
    coarsest = Stored(levels[-1].reader().read(0, levels[-1].height))  # it is pooled as a whole
    whole = coarsest.content.permute(2, 0, 1)[None]
    pooled = [Stored(pool(whole)[0].permute(1, 2, 0)) for pool in head.psp_modules]
    channels = [head.in_channels[-1], *[head.channels] * len(pooled)]
    laterals.append(Fused([coarsest, *pooled], channels, head.bottleneck, head.align_corners))
    for finer in range(len(laterals) - 2, -1, -1):
        laterals[finer] = Sum([laterals[finer], _resized_to(laterals[finer + 1], laterals[finer], head.align_corners)])
    outputs = [_convolve(lateral, conv) for lateral, conv in zip(laterals, head.fpn_convs)]
    return Fused([*outputs, laterals[-1]], [head.channels] * len(laterals), head.fpn_bottleneck, head.align_corners)


def _feature_pyramid(neck: FPN, levels: Sequence[Rows]) -> list[Rows]:
    laterals = [_convolve(level, conv) for level, conv in zip(levels, neck.lateral_convs)]
    for finer in range(len(laterals) - 2, -1, -1):
        size = (laterals[finer].height, laterals[finer].width)
        laterals[finer] = Sum([laterals[finer], Resized(laterals[finer + 1], size, **neck.upsample_cfg)])
    return [_convolve(lateral, conv) for lateral, conv in zip(laterals, neck.fpn_convs)]


def _fpn_features(head: FPNHead, levels: Sequence[Rows]) -> Rows:
    maps = []
    for level, modules in zip(levels, head.scale_heads):
        for module in modules:
            if isinstance(module, Upsample):
                size = module.size or tuple(int(side * module.scale_factor) for side in (level.height, level.width))
                level = Resized(level, size, module.mode, module.align_corners)
            else:
                level = _convolve(level, module)
        maps.append(level)
    return Sum([maps[0], *(_resized_to(level, maps[0], head.align_corners) for level in maps[1:])])


def _resized_to(source: Rows, target: Rows, align_corners: bool) -> Rows:
    return Resized(source, (target.height, target.width), align_corners=align_corners)


def _convolve(source: Rows, module: ConvModule | nn.Conv2d) -> Rows:
    """A 1x1 or 3x3 convolution, with norm and activation where the module has them."""
    is_module = isinstance(module, ConvModule)
    conv = module.conv if is_module else module
    weight, bias = _folded(conv, module.norm if is_module and module.with_norm else None)
    activate = module.activate if is_module and module.with_activation else nn.Identity()
    if conv.kernel_size == (1, 1):
        return Pointwise(source, lambda x: activate(nn.functional.linear(x, weight.flatten(1), bias)))
    return Convolution(source, weight, bias, activate)


def _folded(conv: nn.Conv2d, norm: nn.Module | None) -> tuple[Tensor, Tensor | None]:
    folded = fold_batch_norm(conv, norm)
    if folded is None:
        raise InputError(f'bands of rows need batch norms in eval mode, but a head has {type(norm).__name__}')
    weight, bias = folded
    # The layout in which the products run; a 1x1 kernel is a matrix already.
    return weight.contiguous(memory_format=torch.channels_last), bias
