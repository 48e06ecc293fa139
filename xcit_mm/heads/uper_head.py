"""UPerHead (arXiv 1807.10221) with its largest convolutions computed before their inputs are resized."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import UPerHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..errors import InputError
from ..ops.modification import can_bypass
from ..statistics import ImageStatistics, Statistics
from .fusion import fuse
from .plain import is_plain, is_unmodified_part

Map = TypeVar('Map')


class MapOperations(Protocol[Map]):
    """The operations of a UPerHead on one kind of feature map: whole tensors, or rows computed in bands."""

    def convolve(self, x: Map, module: ConvModule) -> Map:
        """Apply a convolution with its norm and activation."""

    def pool(self, x: Map, cells: Any) -> Map:
        """Pool a map into the bins of ``cells[0]`` (adaptive average pooling), then apply ``cells[1]``."""

    def add_resized(self, x: Map, coarser: Map, align_corners: bool) -> Map:
        """Add a coarser map to ``x`` after resizing it to match."""

    def fuse(self, module: ConvModule, levels: Sequence[Map], align_corners: bool) -> Map:
        """Convolve the concatenation of all levels, each resized to match the first."""


def uper_features(head: UPerHead, levels: Sequence[Map], operations: MapOperations[Map]) -> Map:
    """Compute the features that a UPerHead classifies, using pyramid pooling, a top-down path and fusion of all levels.

    Args:
        head: mmseg's UPerHead or ours.
        levels: the backbone maps that the head uses, finest first.
        operations: how to compute on such maps.

    Returns:
        A map with ``head.channels`` channels and the size of the first level.
    """
    laterals = [operations.convolve(level, conv) for level, conv in zip(levels, head.lateral_convs)]
    pooled = [operations.pool(levels[-1], cells) for cells in head.psp_modules]
    laterals.append(operations.fuse(head.bottleneck, [levels[-1], *pooled], head.align_corners))
    for finer in range(len(laterals) - 2, -1, -1):
        laterals[finer] = operations.add_resized(laterals[finer], laterals[finer + 1], head.align_corners)
    outputs = [operations.convolve(lateral, conv) for lateral, conv in zip(laterals, head.fpn_convs)]
    return operations.fuse(head.fpn_bottleneck, [*outputs, laterals[-1]], head.align_corners)


class TensorOperations:
    """``MapOperations`` on whole maps (B, C, H, W).

    Args:
        statistics: the statistic that computes the pooled cells.
    """

    def __init__(self, statistics: Statistics) -> None:
        self.statistics = statistics

    def convolve(self, x: Tensor, module: ConvModule) -> Tensor:
        return module(x)

    def pool(self, x: Tensor, cells: Any) -> Tensor:
        pooling, conv = cells
        if self.statistics.is_plain and not can_bypass(pooling, nn.AdaptiveAvgPool2d):
            return conv(pooling(x))
        pools = self.statistics.pools(pooling.output_size, *x.shape[2:])
        pools.collect(x.permute(0, 2, 3, 1))
        return conv(pools.reduce().permute(0, 3, 1, 2))

    def add_resized(self, x: Tensor, coarser: Tensor, align_corners: bool) -> Tensor:
        return x + F.interpolate(coarser, size=x.shape[2:], mode='bilinear', align_corners=align_corners)

    def fuse(self, module: ConvModule, levels: Sequence[Tensor], align_corners: bool) -> Tensor:
        if is_unmodified_part(module):
            return fuse(module, levels, align_corners)
        first, *others = levels  # an adapter or a hook acts on the concatenation
        resized = [F.interpolate(level, size=first.shape[2:], mode='bilinear', align_corners=align_corners)
                   for level in others]
        return module(torch.cat((first, *resized), dim=1))


def uper_logits(head: UPerHead, inputs: Sequence[Tensor], statistics: Statistics) -> Tensor:
    """Return the logits (B, classes, h, w) of mmseg's UPerHead or ours, with pooled cells from ``statistics``."""
    levels = head._transform_inputs(inputs)
    return head.cls_seg(uper_features(head, levels, TensorOperations(statistics)))


def takes_statistics(head: Any) -> bool:
    """Return whether ``uper_logits`` computes the same logits as the head itself."""
    return can_bypass(head, UPerHead, EfficientUPerHead) and all(
        can_bypass(pooling, nn.AdaptiveAvgPool2d) for pooling, _ in head.psp_modules) and all(
        is_plain(module.conv) for module in (head.bottleneck, head.fpn_bottleneck))


@MODELS.register_module()
class EfficientUPerHead(UPerHead):
    """A faster version of mmsegmentation's ``UPerHead`` that uses less memory.

    It has the same arguments, parameters and state dict, and computes the same result.

    The last 3x3 convolution of a UPerHead runs on all levels, resized to the finest and concatenated, and accounts for
    three quarters of the head's multiply-adds. Here, each coarser level's channels are mixed at that level's own
    resolution, and the result is then resized; see ``convolve_resized``. The concatenation is never built.

    Args:
        pool_scales, kwargs: the arguments of ``UPerHead``.

    Raises:
        InputError: ``conv_cfg`` specifies convolutions that are not plain.
    """

    def __init__(self, pool_scales: Sequence[int] = (1, 2, 3, 6), **kwargs: Any) -> None:
        super().__init__(pool_scales, **kwargs)
        for module in (self.bottleneck, self.fpn_bottleneck):
            if not is_plain(module.conv):
                raise InputError(f'EfficientUPerHead needs plain convolutions, but conv_cfg is {self.conv_cfg}; use '
                                 "type='UPerHead'")

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        return uper_features(self, self._transform_inputs(inputs), TensorOperations(ImageStatistics()))
