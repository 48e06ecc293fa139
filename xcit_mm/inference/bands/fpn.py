"""Run mmseg's FPN neck and Semantic FPN head in bands of rows, with the same steps as their forward passes."""
from __future__ import annotations

from collections.abc import Sequence

from mmseg.models.decode_heads import FPNHead
from mmseg.models.necks import FPN
from mmseg.models.utils import Upsample

from ...errors import InputError
from ...ops.row_operations import Resized, Sum
from ...ops.rows import Rows
from ...statistics import Statistics
from .convolution import check_convolutions, convolve
from .registry import BandedModule, run_in_bands


@run_in_bands(FPN)
class BandedFPN(BandedModule):
    """mmseg's feature pyramid network, with one output for each backbone map."""

    def check(self, module: FPN, levels: int) -> None:
        if not (module.start_level == 0 and len(module.lateral_convs) == module.num_outs == levels
                and set(module.upsample_cfg) == {'mode'} and module.upsample_cfg['mode'] in ('nearest', 'bilinear')):
            raise InputError('an FPN with extra or missing levels, or with upsampling other than nearest or bilinear, '
                             'cannot run in bands of rows; use mode whole')
        check_convolutions(module)

    def run(self, module: FPN, levels: Sequence[Rows], statistics: Statistics) -> list[Rows]:
        laterals = [convolve(level, conv) for level, conv in zip(levels, module.lateral_convs)]
        for finer in range(len(laterals) - 2, -1, -1):
            size = (laterals[finer].height, laterals[finer].width)
            laterals[finer] = Sum([laterals[finer], Resized(laterals[finer + 1], size, **module.upsample_cfg)])
        return [convolve(lateral, conv) for lateral, conv in zip(laterals, module.fpn_convs)]


@run_in_bands(FPNHead)
class BandedFPNHead(BandedModule):
    """The head of Semantic FPN (arXiv 1901.02446)."""

    whole_maps = 5.0

    def check(self, module: FPNHead, levels: int) -> None:
        check_convolutions(module)

    def run(self, module: FPNHead, levels: Sequence[Rows], statistics: Statistics) -> Rows:
        first, *others = (_scaled(levels[index], scale_head)
                          for index, scale_head in zip(module.in_index, module.scale_heads))
        size = (first.height, first.width)
        total = Sum([first, *(Resized(other, size, align_corners=module.align_corners) for other in others)])
        return convolve(total, module.conv_seg)


def _scaled(level: Rows, modules: Sequence) -> Rows:
    """Convolve a level and upsample it to the finest stride."""
    for module in modules:
        if isinstance(module, Upsample):
            size = module.size or tuple(int(side * module.scale_factor) for side in (level.height, level.width))
            level = Resized(level, size, module.mode, module.align_corners)
        else:
            level = convolve(level, module)
    return level
