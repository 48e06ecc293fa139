"""Recomputing blocks in the backward pass gives the same gradients while storing less."""
from functools import partial

import pytest
import torch
from benchmarks.measurement import count_saved_bytes

from xcit_mm import XCiT

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


@pytest.mark.parametrize('attention', ['gram', 'direct'])
def test_recomputation_does_not_change_gradients_or_statistics(attention):
    arguments = dict(arch=TINY, attention=attention, attn_drop_rate=0.5, drop_path_rate=0.5)
    plain, recomputed = XCiT(**arguments), XCiT(**arguments, with_cp=True)
    recomputed.load_state_dict(plain.state_dict())
    image = torch.randn(2, 3, 64, 64)
    for model in (plain, recomputed):
        torch.manual_seed(0)
        sum(level.square().mean() for level in model(image)).backward()
    for one, other in zip(plain.parameters(), recomputed.parameters()):
        torch.testing.assert_close(one.grad, other.grad)
    for (name, one), other in zip(plain.named_buffers(), recomputed.buffers()):
        torch.testing.assert_close(one, other, msg=name)  # each batch updates the running statistics only once


def test_recomputation_stores_less_even_after_a_frozen_stem():
    image = torch.randn(2, 3, 64, 64)
    plain, recomputed = (
        count_saved_bytes(partial(XCiT(TINY, frozen_stages=0, pyramid=False, with_cp=with_cp), image))
        for with_cp in (False, True))
    assert recomputed < 0.2 * plain  # stores the inputs of two blocks instead of their activations


@pytest.mark.parametrize('with_cp', [False, True])
def test_each_map_supports_a_separate_backward_pass(with_cp):
    torch.manual_seed(0)
    model = XCiT(TINY, with_cp=with_cp)
    levels = model(torch.randn(2, 3, 64, 64))
    separate = [torch.autograd.grad(level.sum(), model.blocks[0].gamma1, retain_graph=True)[0] for level in levels]
    together, = torch.autograd.grad(sum(level.sum() for level in levels), model.blocks[0].gamma1)
    torch.testing.assert_close(sum(separate), together, rtol=1e-4, atol=1e-4)


def test_recomputation_supports_norms_without_running_statistics():
    model = XCiT(TINY, with_cp=True, norm_cfg=dict(type='BN', track_running_stats=False))
    sum(level.sum() for level in model(torch.randn(2, 3, 64, 64))).backward()
