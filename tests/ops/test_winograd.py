import pytest
import torch
import torch.nn.functional as F

from xcit_mm.ops import winograd


@pytest.mark.parametrize('size', [(1, 1), (2, 2), (3, 7), (8, 5), (50, 61)])
@pytest.mark.parametrize('tiles', [1, 40, 10**6])
def test_result_equals_conv2d(monkeypatch, size, tiles):
    monkeypatch.setattr(winograd, 'CHUNK_TILES', tiles)
    x, weight = torch.randn(1, 5, *size, dtype=torch.float64), torch.randn(7, 5, 3, 3, dtype=torch.float64)
    rows, bias = F.pad(x, (0, 0, 1, 1))[0].permute(1, 2, 0), torch.randn(7, dtype=torch.float64)
    actual = winograd.convolve(rows, winograd.transform_kernel(weight), bias)
    torch.testing.assert_close(actual, F.conv2d(x, weight, bias, padding=1)[0].permute(1, 2, 0))


def test_error_is_that_of_single_precision():
    x, weight = torch.randn(1, 256, 20, 30).relu(), torch.randn(256, 256, 3, 3)
    expected = F.conv2d(x.double(), weight.double(), padding=1)[0].permute(1, 2, 0)
    actual = winograd.convolve(F.pad(x, (0, 0, 1, 1))[0].permute(1, 2, 0), winograd.transform_kernel(weight))
    assert (actual - expected).abs().max() < 3e-6 * expected.abs().max()


@pytest.mark.parametrize('shape, dtype, expected', [
    ((384, 512, 3, 3), torch.float32, True), ((512, 256, 3, 3), torch.float32, False),
    ((512, 512, 1, 1), torch.float32, False), ((512, 512, 3, 3), torch.bfloat16, False)])
def test_is_faster_for_many_channels_in_single_precision(shape, dtype, expected):
    assert winograd.is_faster(torch.zeros(shape, dtype=dtype)) == expected
