"""A backbone builds exactly the levels that a neck or head needs, and images can have any number of channels."""
import inspect
from itertools import combinations

import numpy as np
import pytest
import torch
import two_ranks
from detection import needs_mmdet

from xcit_mm import XCiT
from xcit_mm.errors import InputError

TINY = dict(embed_dim=16, depth=3, num_heads=2, patch_size=16)
STRIDES = (4, 8, 16, 32, 64)
SELECTIONS = [chosen for number in range(1, 6) for chosen in combinations(STRIDES, number)]


@pytest.mark.parametrize('kinds', [
    ['five_levels'], pytest.param(['fcn'], marks=pytest.mark.slow),
    pytest.param(['retinanet', 'rtmdet'], marks=[needs_mmdet, pytest.mark.slow])], ids='-'.join)
def test_every_head_trains_in_two_processes_without_unused_parameters(kinds, tmp_path):
    for (gradients, weights), (_, other_weights) in two_ranks.run(kinds, tmp_path):
        assert gradients and all(gradient is not None for gradient in gradients.values())
        assert all(torch.equal(weights[name], other_weights[name]) for name in weights)


@pytest.mark.slow
def test_a_level_without_a_head_fails_in_two_processes(tmp_path):
    with pytest.raises(torch.multiprocessing.ProcessRaisedException, match='find_unused_parameters'):
        two_ranks.run(['unused'], tmp_path)


@pytest.mark.parametrize('patch_size', [8, 16])
@pytest.mark.parametrize('strides', SELECTIONS, ids=str)
def test_any_selection_of_strides_is_built_and_trained(strides, patch_size):
    model = XCiT(TINY | dict(patch_size=patch_size), out_strides=list(strides))
    assert model.out_strides == strides and len(model.out_indices) == len(model.out_channels) == len(strides)
    levels = model(torch.randn(2, 3, 128, 192))
    assert [level.shape[2:] for level in levels] == [(128 // stride, 192 // stride) for stride in strides]
    sum((level * torch.randn_like(level)).sum() for level in levels).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize('strides', [(8, 16, 32), (32, ), (4, 32), (8, 16, 32, 64), (4, 8, 16, 32, 64)])
def test_levels_equal_those_of_the_published_pyramid(strides):
    whole = XCiT(TINY).eval()
    model = XCiT(TINY, out_strides=strides).eval()
    model.load_state_dict(whole.state_dict(), strict=False)
    image = torch.randn(1, 3, 96, 130)
    published = dict(zip(whole.out_strides, whole(image)))
    for stride, level in zip(strides, model(image)):
        if stride in published:
            assert torch.equal(level, published[stride]), stride


@pytest.mark.parametrize('strides, taps', [
    (None, (3, 5, 7, 11)), ((4, 8, 16, 32), (3, 5, 7, 11)), ((8, 16, 32), (5, 7, 11)), ((16, ), (11, )),
    ((4, 8), (3, 11)), ((4, 8, 16, 32, 64), (3, 5, 7, 11, 11))])
def test_default_taps_are_the_published_ones_and_end_at_the_last_block(strides, taps):
    with torch.device('meta'):
        assert XCiT('nano_12_p16', out_strides=strides).out_indices == taps


def test_out_indices_name_the_block_of_each_stride():
    model = XCiT(TINY, out_strides=(8, 32), out_indices=(0, 1))
    assert model.out_indices == (0, 1) and len(model.blocks) == 2


def test_recomputation_changes_no_level():
    model, image = XCiT(TINY, out_strides=(8, 64), with_cp=True), torch.randn(2, 3, 64, 64)
    gradients = []
    for with_cp in (True, False):
        model.with_cp = with_cp
        sum(level.square().sum() for level in model(image)).backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in model.named_parameters()})
        model.zero_grad()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('arguments, words', [
    (dict(out_strides=[]), 'ascending selection of 4, 8, 16, 32, 64'),
    (dict(out_strides=(16, 8)), r'ascending selection of .* \(16, 8\)'),
    (dict(out_strides=(8, 8)), 'ascending selection'),
    (dict(out_strides=(4, 12)), 'ascending selection'),
    (dict(out_strides=(128, )), 'ascending selection'),
    (dict(out_strides=(8, 16), out_indices=(0, 1, 2)), 'a block for each stride of 8, 16'),
    (dict(out_indices=(0, )), 'set out_strides, or pyramid=False'),
    (dict(out_strides=(8, 16), pyramid=False), 'remove one of the two'),
    (dict(out_indices=(0, 3), out_strides=(8, 16)), r'blocks 0 … 2, but got \(0, 3\)'),
    (dict(out_indices=(), pyramid=False), 'blocks 0 … 2'),
])
def test_levels_that_cannot_be_built_are_refused(arguments, words):
    with pytest.raises(InputError, match=words) as caught:
        XCiT(TINY, **arguments)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('channels', [1, 4, 13])
def test_images_of_any_number_of_channels(channels):
    model = XCiT(TINY, in_channels=channels)
    levels = model(torch.randn(2, channels, 64, 64))
    assert all(level.shape[:2] == (2, 16) for level in levels)
    sum(level.square().sum() for level in levels).backward()
    assert model.patch_embed.proj[0][0].weight.grad.abs().sum(dim=(0, 2, 3)).gt(0).all()
    with pytest.raises(InputError, match=f'the image has 7 channels, but the backbone expects {channels}; set .*=7'):
        model(torch.randn(2, 7, 64, 64))


WRONG = ['1', b'1', 1.5, -1.5, float('nan'), True, None, -7, [], ['1'], [1.5], [None], [True], {}, {'type': 1},
         {1: 2}, {'type': 'None'}, {'type': ['GN']}, {'a': {'b': 1}}, [{}], set(), object(), int, np.zeros(3),
         torch.ones(2, 3, 4), torch.tensor(1), np.float32(7), np.bool_(True), 1j, (item for item in 'ab'), lambda: None]


@pytest.mark.parametrize('name', [name for name in inspect.signature(XCiT).parameters if name != 'unknown'])
def test_an_argument_of_any_wrong_type_is_named_in_one_line(name):
    refused = 0
    for value in WRONG:
        arguments = {'arch': TINY, name: value}
        try:
            XCiT(**arguments)
        except InputError as error:
            refused += 1
            assert name in str(error) and '\n' not in str(error) and len(str(error)) < 400, (value, str(error))
    assert refused >= len(WRONG) // 2


@pytest.mark.parametrize('arguments', [
    dict(out_indices=1.), dict(frozen_stages='1'), dict(with_cp='False'), dict(in_channels=0), dict(in_channels=3.0),
    dict(attn_drop_rate=1.5), dict(drop_path_rate='0.1'), dict(norm_cfg='BN'), dict(norm_cfg=None),
    dict(pyramid=0), dict(channels_last=None), dict(arch=3), dict(arch=TINY | dict(depth='3')),
    dict(arch=TINY | dict(depth=torch.ones(3, 3))), dict(out_strides='8'), dict(out_strides=[8, None]),
    dict(init_cfg='weights.pth'), dict(init_cfg=[None]), dict(init_cfg=dict(checkpoint='weights.pth'))], ids=str)
def test_wrong_types_are_refused(arguments):
    with pytest.raises(InputError) as caught:
        XCiT(**{'arch': TINY} | arguments)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('norm_cfg, words', [
    (dict(type='GN', num_groups=3), 'map of 2 channels: .*divisible by num_groups'),
    (dict(type='GN'), 'a setting is missing'),
    (dict(type='LN'), 'cannot normalise a map of 2 channels'),
    (dict(type='BN1d'), 'cannot normalise'),
    (dict(type='BN3d'), 'cannot normalise'),
    (dict(type='NoSuchNorm'), 'NoSuchNorm'),
    (dict(type='BN', epsilon=1), 'epsilon')], ids=str)
def test_a_norm_that_does_not_fit_is_refused(norm_cfg, words):
    with pytest.raises(InputError, match=words) as caught:
        XCiT(TINY, norm_cfg=norm_cfg)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('norm_cfg', [
    dict(type='BN', requires_grad=True), dict(type='SyncBN'), dict(type='GN', num_groups=2), dict(type='IN')], ids=str)
def test_a_norm_that_fits_is_unchanged_by_its_trial(norm_cfg):
    model = XCiT(TINY, norm_cfg=norm_cfg)
    assert all(module.training for module in model.modules())
    for name, value in model.named_buffers():
        assert torch.equal(value, torch.ones_like(value) if name.endswith('var') else torch.zeros_like(value)), name
