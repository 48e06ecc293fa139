"""UPerHead and Semantic FPN over rows: the modules' own weights, in the order of their own forward passes."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmseg.models import BaseSegmentor
from mmseg.models.decode_heads import FPNHead, UPerHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.necks import FPN
from mmseg.models.utils import Upsample
from torch import Tensor, nn

from ...errors import InputError
from ...heads import EfficientUPerHead
from ...ops.folding import fold_batch_norm, is_foldable, is_plain
from ...ops.interpolation import source_range
from ...ops.resized_convolution import ColumnConvolution, apply_row_taps, row_taps
from .rows import Convolution, Pointwise, Resized, Rows, Stored, Sum


def check(model: BaseSegmentor) -> None:
    """Raise ``InputError`` unless there are bands of rows for the neck and the head of a model."""
    neck, head = model.neck if model.with_neck else None, model.decode_head
    if type(head) not in (UPerHead, EfficientUPerHead, FPNHead):
        raise InputError(f'no bands of rows for the head {type(head).__name__}: take mode whole')
    levels = len(model.backbone.out_indices)
    if neck is not None and not (
            type(neck) is FPN and neck.start_level == 0 and len(neck.lateral_convs) == neck.num_outs == levels
            and set(neck.upsample_cfg) == {'mode'} and neck.upsample_cfg['mode'] in ('nearest', 'bilinear')):
        raise InputError(f'no bands of rows for this neck ({type(neck).__name__}): take mode whole')
    for part in filter(None, (neck, head)):
        for module in part.modules():
            if isinstance(module, nn.Conv2d) and not is_plain(module) or isinstance(module, ConvModule) and not (
                    module.order == ('conv', 'norm', 'act') and is_foldable(module.norm if module.with_norm else None)):
                raise InputError(f'no bands of rows for the {type(module).__name__} of a {type(part).__name__}: '
                                 'take mode whole')


def compute_logits(neck: nn.Module | None, head: BaseDecodeHead, levels: Sequence[Rows]) -> Rows:
    """What ``head(neck(levels))`` returns, as rows; for modules that ``check`` lets pass."""
    if neck is not None:
        levels = _feature_pyramid(neck, levels)
    levels = [levels[index] for index in head.in_index]
    features = _fpn_features(head, levels) if isinstance(head, FPNHead) else _uper_features(head, levels)
    return _convolve(features, head.conv_seg)


class Fused(Rows):
    """A convolution over several maps, as if all were resized to the first and concatenated: see ``heads.fusion``."""

    def __init__(self, levels: Sequence[Rows], channels: Sequence[int], module: ConvModule,
                 align_corners: bool) -> None:
        super().__init__(levels[0].height, levels[0].width)
        weight, bias = _folded(module.conv, module.norm if module.with_norm else None)
        first, *others = weight.split(list(channels), dim=1)
        self.finest = Convolution(levels[0], first, bias)
        self.columns = []
        for level, part in zip(levels[1:], others):
            columns = ColumnConvolution(part, level.width, self.width, align_corners, weight)
            self.columns.append((level.height, _mixed(level, columns).reader()))
        self.module, self.align_corners = module, align_corners

    def compute(self, start: int, stop: int) -> Tensor:
        fused = self.finest.compute(start, stop)
        for height, columns in self.columns:
            first, last = source_range(height, self.height, start - 1, stop + 1, self.align_corners)
            following = source_range(height, self.height, stop - 1, stop, self.align_corners)[0]
            taps = row_taps(height, self.height, start, stop, first, last, self.align_corners, fused)
            fused += apply_row_taps(taps, columns.read(first, last, following)[None])[0]
        return self.module.activate(fused) if self.module.with_activation else fused


def _mixed(level: Rows, columns: ColumnConvolution) -> Rows:
    """Row taps stand where columns of other maps do: (rows, row tap, W, out)."""
    return Pointwise(level, lambda x: columns(x[None])[0])


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
    conv, norm, activate = module, None, nn.Identity()
    if isinstance(module, ConvModule):
        conv, norm = module.conv, module.norm if module.with_norm else None
        activate = module.activate if module.with_activation else activate
    weight, bias = _folded(conv, norm)
    if conv.kernel_size == (1, 1):
        return Pointwise(source, lambda x: activate(nn.functional.linear(x, weight.flatten(1), bias)))
    return Convolution(source, weight, bias, activate)


def _folded(conv: nn.Conv2d, norm: nn.Module | None) -> tuple[Tensor, Tensor | None]:
    folded = fold_batch_norm(conv, norm)
    assert folded  # see check
    weight, bias = folded
    # The layout in which the products run; a 1x1 kernel is a matrix already.
    return weight.contiguous(memory_format=torch.channels_last), bias
