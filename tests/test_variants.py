from dataclasses import astuple

import pytest
import torch

from xcit_mm import XCiT
from xcit_mm.variants import ARCHITECTURES, get_variant

SIZES = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


@pytest.mark.parametrize('arch, sizes, layer_scale, taps', [
    ('nano_12_p8', (128, 12, 4, 8), 1.0, (3, 5, 7, 11)),
    ('small_12_p16', (384, 12, 8, 16), 1.0, (3, 5, 7, 11)),
    ('tiny_24_p16', (192, 24, 4, 16), 1e-5, (7, 11, 15, 23)),
    ('large_24_p8', (768, 24, 16, 8), 1e-5, (7, 11, 15, 23)),
])
def test_names_map_to_the_published_sizes(arch, sizes, layer_scale, taps):
    variant = get_variant(arch)
    assert astuple(variant) == sizes
    assert (variant.layer_scale_init, variant.out_indices) == (layer_scale, taps)


def test_14_names_map_to_different_sizes():
    assert len({get_variant(arch) for arch in ARCHITECTURES}) == 14


@pytest.mark.parametrize('arch, layer_scale', [('nano_12_p16', 1.0), ('tiny_24_p16', 1e-5)])
def test_blocks_start_with_the_layer_scale_for_their_depth(arch, layer_scale):
    for block in XCiT(arch, pyramid=False).blocks:
        for gamma in (block.gamma1, block.gamma2, block.gamma3):
            assert torch.equal(gamma, torch.full_like(gamma, layer_scale))


@pytest.mark.parametrize('arch, words', [
    ('small_13_p16', ['small_13_p16', 'small_12_p16']),
    (None, ['None', 'small_12_p16']),
    (SIZES | dict(mlp_ratio=4), ['exactly', 'mlp_ratio']),
    ({}, ['embed_dim', 'none']),
    (SIZES | dict(depth=0), ['depth', 'positive', '0']),
    (SIZES | dict(depth=True), ['depth', 'integer', 'True']),
    (SIZES | dict(num_heads=3), ['16', '3']),
    (SIZES | dict(patch_size=12), ['power of two', '12']),
    (SIZES | dict(embed_dim=6), ['6', '4', 'stem']),
])
def test_error_names_the_invalid_size(arch, words):
    with pytest.raises(ValueError) as error:
        get_variant(arch)
    assert all(word in str(error.value) for word in words)
