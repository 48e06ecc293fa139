"""Replacement modules give the same results as the modules that they replace."""
import pytest
import torch
from mmseg.models.utils import Upsample
from torch import nn

from xcit_mm.export.symbolic import IntegerUpsample, MatrixPool2d


@pytest.mark.parametrize('height, width', [(7, 12), (6, 2), (1, 33)])
def test_matrix_pooling_equals_adaptive_pooling(height, width):
    x = torch.randn(2, 3, height, width)
    for bins in (1, 2, 3, 6):
        torch.testing.assert_close(MatrixPool2d(bins)(x), nn.AdaptiveAvgPool2d(bins)(x))


def test_integer_upsampling_equals_mmseg_upsampling():
    x = torch.randn(2, 3, 7, 12)
    module = Upsample(scale_factor=2, mode='bilinear', align_corners=False)
    torch.testing.assert_close(IntegerUpsample(module)(x), module(x))
