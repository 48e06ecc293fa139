"""UPerHead (arXiv 1807.10221) with its largest convolutions computed where their inputs are small."""
from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmseg.models.decode_heads import UPerHead
from mmseg.registry import MODELS
from torch import Tensor

from ..errors import InputError
from ..ops.folding import is_plain
from .fusion import fuse


@MODELS.register_module()
class EfficientUPerHead(UPerHead):
    """mmsegmentation's ``UPerHead``: the same arguments, parameters, state dict and function, in less time and memory.

    The last 3x3 convolution of a UPerHead takes all levels, resized to the finest and concatenated: three quarters
    of the head's multiply-adds. Here the channels of a coarser level are mixed at its own resolution, and what is
    resized is the sum; see ``convolve_resized``. The concatenation is never built.

    Raises:
        InputError: a ``conv_cfg`` of other than plain convolutions.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        for module in (self.bottleneck, self.fpn_bottleneck):
            if not is_plain(module.conv):
                raise InputError(f'EfficientUPerHead needs plain convolutions, but conv_cfg is {self.conv_cfg}')

    def psp_forward(self, inputs: Sequence[Tensor]) -> Tensor:
        pooled = [pool(inputs[-1]) for pool in self.psp_modules]
        return fuse(self.bottleneck, [inputs[-1], *pooled], self.align_corners)

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        inputs = self._transform_inputs(inputs)
        laterals = [conv(level) for conv, level in zip(self.lateral_convs, inputs)]
        laterals.append(self.psp_forward(inputs))
        for finer in range(len(laterals) - 2, -1, -1):
            laterals[finer] = laterals[finer] + F.interpolate(
                laterals[finer + 1], size=laterals[finer].shape[2:], mode='bilinear',
                align_corners=self.align_corners)
        outputs = [conv(lateral) for conv, lateral in zip(self.fpn_convs, laterals)]
        return fuse(self.fpn_bottleneck, [*outputs, laterals[-1]], self.align_corners)
