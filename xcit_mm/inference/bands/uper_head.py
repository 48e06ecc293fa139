"""UPerHead in bands of rows: the algorithm from ``heads.uper_head``, applied to lazily computed maps."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import UPerHead
from torch import Tensor

from ...heads import EfficientUPerHead
from ...heads.plain import activate
from ...heads.uper_head import uper_features
from ...ops.interpolation import source_range
from ...ops.resized_convolution import ColumnConvolution, apply_row_taps, row_taps
from ...ops.row_operations import Convolution, Pointwise, Resized, Sum
from ...ops.rows import Rows, Stored
from ...statistics import Statistics
from .convolution import check_convolutions, convolve, folded_weight
from .registry import BandedModule, run_in_bands


@run_in_bands(UPerHead)
class BandedUPerHead(BandedModule):
    """mmseg's UPerHead, whose plain forward pass keeps four resized levels and their concatenation in memory."""

    def check(self, module: UPerHead, levels: int) -> None:
        check_convolutions(module)

    def run(self, module: UPerHead, levels: Sequence[Rows], statistics: Statistics) -> Rows:
        *finer, coarsest = (levels[index] for index in module.in_index)
        stored = Stored(coarsest.reader().read_all())  # read twice: for pooling, and for fusion with the pooled cells
        return convolve(uper_features(module, [*finer, stored], RowOperations(statistics)), module.conv_seg)


@run_in_bands(EfficientUPerHead)
class BandedEfficientUPerHead(BandedUPerHead):
    """Our UPerHead, whose plain forward pass never builds the concatenation."""

    whole_maps = 8.5


class RowOperations:
    """``MapOperations`` on maps that are computed in bands of rows.

    Args:
        statistics: computes the pooled cells.
    """

    def __init__(self, statistics: Statistics) -> None:
        self.statistics = statistics

    def convolve(self, x: Rows, module: ConvModule) -> Rows:
        return convolve(x, module)

    def pool(self, x: Rows, cells: Any) -> Rows:
        pooling, conv = cells
        pools = self.statistics.pools(pooling.output_size, x.height, x.width)
        pools.collect(x.reader().read_all()[None])
        return Stored(conv(pools.reduce().permute(0, 3, 1, 2))[0].permute(1, 2, 0))

    def add_resized(self, x: Rows, coarser: Rows, align_corners: bool) -> Rows:
        return Sum([x, Resized(coarser, (x.height, x.width), align_corners=align_corners)])

    def fuse(self, module: ConvModule, levels: Sequence[Rows], align_corners: bool) -> Rows:
        return FusedLevels(module, levels, align_corners)


class FusedLevels(Rows):
    """A convolution over several maps, as if resized to match the first and concatenated; see ``heads.fusion``."""

    def __init__(self, module: ConvModule, levels: Sequence[Rows], align_corners: bool) -> None:
        super().__init__(levels[0].height, levels[0].width)
        weight, bias = folded_weight(module)
        # All levels but the first have ``out_channels`` channels.
        coarse = module.out_channels * (len(levels) - 1)
        first, *others = weight.split([weight.shape[1] - coarse, *[module.out_channels] * (len(levels) - 1)], dim=1)
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
            next_start = source_range(height, self.height, stop - 1, stop, self.align_corners)[0]
            taps = row_taps(height, self.height, start, stop, first, last, self.align_corners, fused)
            fused += apply_row_taps(taps, columns.read(first, last, next_start)[None])[0]
        return activate(self.module, fused)


def _mixed(level: Rows, columns: ColumnConvolution) -> Rows:
    """Convolve within each row only. The result has an extra axis for the row taps: (rows, row tap, W, out)."""
    return Pointwise(level, lambda x: columns(x[None])[0])
