"""Blocks keep eight maps for the backward pass, and gradients are those of a block that keeps everything."""
import weakref
from contextlib import nullcontext
from functools import partial

import pytest
import torch
from benchmarks.measurement import count_flops, count_saved_bytes, peak_memory
from block_changes import CHANGES
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from xcit_mm import XCiT
from xcit_mm.layers import block as block_module
from xcit_mm.layers import patch_embedding
from xcit_mm.layers.block import XCiTBlock
from xcit_mm.ops import saving

SIDE, CHANNELS = 64, 32
MAP_BYTES = SIDE * SIDE * CHANNELS * 4
SMALL = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


@pytest.fixture(autouse=True)
def every_map_is_large(monkeypatch):
    """Save less for small maps too, so that tests are fast."""
    monkeypatch.setattr(saving, 'LARGE', 0)


@pytest.fixture
def keep_everything(monkeypatch):
    """Return a function that makes every module save what torch saves by default."""
    def switch():
        for module in (saving, block_module, patch_embedding):
            monkeypatch.setattr(module, 'saves_less', lambda x: False)

    return switch


def make_block(norm='BN', drop_path_rate=0.0, **arguments):
    torch.manual_seed(0)
    block = XCiTBlock(CHANNELS, 4, 1.0, drop_path_rate, dict(type=norm), **arguments)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    return block


def run_block(block):
    return block(torch.randn(1, SIDE * SIDE, CHANNELS, requires_grad=True), SIDE, SIDE)


@pytest.mark.parametrize('norm, drop_path_rate, maps', [('BN', 0.0, 8), ('BN', 0.5, 8), ('SyncBN', 0.0, 9)])
def test_a_block_keeps_eight_maps(norm, drop_path_rate, maps, keep_everything):
    run = partial(run_block, make_block(norm, drop_path_rate, attention='gram'))
    # Besides the maps, layer norms keep six numbers for each token, and attention keeps C x C matrices.
    assert maps <= count_saved_bytes(run) / MAP_BYTES < maps + 6 / CHANNELS + 0.2
    keep_everything()
    assert count_saved_bytes(run) / MAP_BYTES > 19


def test_enclosing_hooks_see_all_other_tensors(keep_everything):
    run = partial(run_block, make_block(attention='direct'))
    less = count_saved_bytes(run)
    keep_everything()
    # The direct form keeps its branch's output, q, k, v and so on as before; the rest of the block keeps 11 maps less.
    assert (count_saved_bytes(run) - less) / MAP_BYTES == pytest.approx(11, abs=0.2)


def test_half_precision_keeps_less_too(keep_everything):
    run = torch.autocast('cpu', torch.bfloat16)(partial(run_block, make_block(attention='gram')))
    less = count_saved_bytes(run)
    keep_everything()
    assert less < 0.75 * count_saved_bytes(run)


def test_a_backbone_needs_less_memory_and_no_more_products(keep_everything):
    model, image = XCiT(SMALL, attention='gram'), torch.randn(1, 3, 512, 512)

    def run():
        return [level.sum() for level in model(image)]

    def step():
        sum(run()).backward()

    measures = [(count_saved_bytes, run), (partial(peak_memory, device=torch.device('cpu')), step), (count_flops, step)]
    saved, peak, flops = (measure(what) for measure, what in measures)
    keep_everything()
    saved_before, peak_before, flops_before = (measure(what) for measure, what in measures)
    assert saved < 0.55 * saved_before
    assert peak < 0.75 * peak_before
    assert flops == flops_before


CASES = {
    'gram': {}, 'direct': dict(attention='direct'), 'drop path': dict(drop_path_rate=0.5),
    'attention dropout': dict(attn_drop_rate=0.5), 'SyncBN': dict(norm_cfg=dict(type='SyncBN')),
    'norm_eval': dict(norm_eval=True), 'IN': dict(norm_cfg=dict(type='IN', affine=True)),
    'GN': dict(norm_cfg=dict(type='GN', num_groups=2)), 'mixture': dict(statistics='mixture'),
    'statistics of batches only': dict(norm_cfg=dict(type='BN', track_running_stats=False)),
    'no affine': dict(norm_cfg=dict(type='BN', affine=False)),
    'cumulative': dict(norm_cfg=dict(type='BN', momentum=None)),
    'with_cp': dict(with_cp=True), 'frozen stages': dict(frozen_stages=1)}


def gradients(model, image, context=nullcontext):
    torch.manual_seed(1)
    with context():
        levels = model(image)
        loss = sum(level.double().square().mean() + level.double().mean() for level in levels)
    loss.backward()
    return {name: parameter.grad.double() for name, parameter in model.named_parameters()
            if parameter.grad is not None}


def build(change=None, **arguments):
    torch.manual_seed(0)
    model = XCiT(**dict(dict(arch=SMALL, attention='gram'), **arguments))
    if change:
        change(model)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.train()


def compare(actual, expected, tolerance):
    assert actual.keys() == expected.keys()
    scale = max(gradient.norm() for gradient in expected.values())
    for name, gradient in expected.items():
        assert (actual[name] - gradient).norm() <= tolerance * max(gradient.norm(), 1e-3 * scale), name


@pytest.mark.parametrize('arguments, change', [
    *((arguments, None) for arguments in CASES.values()), *(({}, change) for change in CHANGES.values())],
    ids=[*CASES, *CHANGES])
def test_gradients_and_running_statistics_do_not_change(arguments, change, keep_everything):
    image = torch.randn(2, 3, 128, 136, dtype=torch.double)
    less, full = (build(change, **arguments).double() for _ in range(2))
    actual = gradients(less, image)
    keep_everything()
    compare(actual, gradients(full, image), 1e-10)
    for (name, one), other in zip(less.named_buffers(), full.buffers()):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_gradients_under_autocast_do_not_change(dtype, keep_everything):
    image, context = torch.randn(2, 3, 128, 136), partial(torch.autocast, 'cpu', dtype)
    actual = gradients(build(), image, context)
    keep_everything()
    compare(actual, gradients(build(), image, context), 1e-6)


def test_rounding_errors_are_no_larger(keep_everything):
    image = torch.randn(2, 3, 128, 136)
    actual = gradients(build(), image)
    keep_everything()
    exact, before = gradients(build().double(), image.double()), gradients(build(), image)

    def error(gradients):
        return sum((gradients[name] - exact[name]).norm() / exact[name].norm() for name in exact)

    assert error(actual) < 1.1 * error(before)


def change_layout(run, x):
    with saved_tensors_hooks(lambda saved: saved.contiguous(), lambda packed: packed):
        return run(x)


@pytest.mark.parametrize('wrap', [partial(checkpoint, use_reentrant=False), partial(checkpoint, use_reentrant=True),
                                  change_layout])
def test_enclosing_hooks_apply(wrap, keep_everything):
    x = torch.randn(2, 60, CHANNELS, dtype=torch.double, requires_grad=True)
    results = []
    for _ in range(2):
        block = make_block(attention='gram').double()
        wrap(lambda x, block=block: block(x, 6, 10), x).square().sum().backward()
        results.append({'x': x.grad} | {name: parameter.grad for name, parameter in block.named_parameters()})
        x.grad = None
        keep_everything()
    compare(*results, 1e-10)


def test_a_checkpoint_still_keeps_only_its_input():
    block, maps = make_block(attention='gram'), []
    block.local_mp.conv1.register_forward_hook(lambda module, inputs, output: maps.append(weakref.ref(output)))
    y = checkpoint(partial(block, height=4, width=4), torch.randn(1, 16, CHANNELS, requires_grad=True),
                   use_reentrant=False)
    assert y.requires_grad and maps[0]() is None
