"""Inference, which works in place and in chunks, gives the same result as the training code."""
import pytest
import torch

from xcit_mm import XCiT
from xcit_mm.layers.block import CHUNK_TOKENS

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


@pytest.mark.parametrize('dtype, tolerance', [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize('norm', ['BN', 'IN'])  # instance norms change the memory layout of the tokens
def test_inference_in_chunks_gives_the_same_maps(dtype, tolerance, norm):
    model = XCiT(TINY, norm_cfg=dict(type=norm)).eval()
    image = torch.randn(2, 3, 560, 488)
    assert 70 * 61 > CHUNK_TOKENS
    with torch.autocast('cpu', dtype, enabled=dtype != torch.float32):
        with torch.no_grad():
            levels = model(image)
        for actual, expected in zip(levels, model(image)):
            assert actual.dtype == expected.dtype
            assert (actual - expected).norm() < tolerance * expected.norm()


def test_transforms_of_torch_func_work_in_inference():
    mlp, tokens = XCiT(TINY).eval().blocks[0].mlp, torch.randn(3, 2, 64, 16)
    with torch.no_grad():
        torch.testing.assert_close(torch.func.vmap(mlp.infer)(tokens), mlp(tokens))
