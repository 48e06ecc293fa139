"""Normalise images with any number of bands."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS

from ..errors import InputError


@MODELS.register_module()
class BandPreProcessor(SegDataPreProcessor):
    """mmseg's ``SegDataPreProcessor`` for any number of bands, each with its own mean and standard deviation.

    Args:
        mean, std: one value per band, in the order and units in which the pipeline loads the bands.
        options: other arguments of ``SegDataPreProcessor``.

    Raises:
        InputError: the numbers of values differ, a standard deviation is 0, or the channel order is to be converted but
            the images do not have three bands.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **options: Any) -> None:
        if len(mean) != len(std) or not all(std):
            raise InputError('data_preprocessor needs a mean and a std above 0 for each band, but has '
                             f'mean={list(mean)} and std={list(std)}')
        if len(mean) != 3 and (options.get('bgr_to_rgb') or options.get('rgb_to_bgr')):
            raise InputError(f'data_preprocessor cannot convert BGR to RGB in images with {len(mean)} bands; load them '
                             "in the order of the file, with LoadImageFromFile(imdecode_backend='tifffile'), and set "
                             'bgr_to_rgb=False')
        super().__init__(**options)
        self._enable_normalize = True
        self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(-1, 1, 1), persistent=False)
