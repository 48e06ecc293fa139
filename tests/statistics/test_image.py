"""Image statistics are exact even for a few tokens, and do not depend on how the image is split into bands."""
import copy

import pytest
import torch

from xcit_mm.layers import CrossCovarianceAttention
from xcit_mm.statistics import build_statistics, image


@pytest.mark.parametrize('tokens', [1, 2, 3])
def test_few_tokens_are_exact_in_gram_form(tokens):
    for seed in range(20):
        torch.manual_seed(seed)
        attention = CrossCovarianceAttention(384, 8, 'gram').eval()
        x = torch.nn.functional.layer_norm(torch.randn(1, tokens, 384), (384, ))
        with torch.no_grad():
            expected = copy.deepcopy(attention).double().direct(x.double())
            assert (attention(x) - expected).abs().max() < 1e-6 * expected.abs().max()


@pytest.mark.parametrize('starts', [[0], [0, 3], [0, 1, 2, 7]])
def test_cells_add_up_over_bands(starts):
    pixels = torch.randn(2, 9, 7, 4, dtype=torch.double)
    for bins in (1, 2, 3, 6):
        pools = build_statistics('image').pools(bins, 9, 7)
        for start, stop in zip(starts, [*starts[1:], 9]):
            pools.collect(pixels[:, start:stop], start)
        expected = torch.nn.functional.adaptive_avg_pool2d(pixels.permute(0, 3, 1, 2), bins)
        torch.testing.assert_close(pools.reduce().permute(0, 3, 1, 2), expected)


def test_sums_stay_in_float32_on_a_device_without_float64(monkeypatch):
    monkeypatch.setattr(image, 'widest_dtype', lambda device: torch.float32)
    moments = image.ImageMoments()
    for tokens in (1, 400):
        moments.collect(torch.randn(1, tokens, 8))
        assert moments.total.dtype == torch.float32
