"""Translate published weights; if the other projects are installed, compare our features with those of their models."""
import pytest
import torch
from benchmarks.peers import build_peers
from reference_keys import FORMATS, weights_of

from xcit_mm import XCiT, checkpoints
from xcit_mm.errors import InputError
from xcit_mm.variants import ARCHITECTURES

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


@pytest.mark.parametrize('arch', ARCHITECTURES)
@pytest.mark.parametrize('format', FORMATS)
def test_translated_names_and_shapes_are_those_of_the_authors_dense_backbone(format, arch):
    translated = checkpoints.translate(weights_of(format, arch))
    shapes = {key: value.shape for key, value in translated.backbone.items() if not key.startswith('fpn')}
    dense = weights_of('facebook_dense_backbone', arch)
    assert shapes == {key: value.shape for key, value in dense.items() if not key.startswith('fpn')}
    assert str(translated.variant) == arch and not translated.others
    assert translated.format == {
        'facebook_classifier': "the authors' classifier", 'facebook_dense_backbone': "the authors' backbone",
        'mmpretrain_1.3.6_classifier': 'mmpretrain classifier', 'timm_1.0.31_classifier': 'timm classifier'}[format]


def test_mmpretrain_weights_get_the_right_names():
    source = weights_of('mmpretrain_1.3.6_classifier', 'nano_12_p16')
    weights = checkpoints.translate(source).backbone
    for theirs, ours in {
            'patch_embed.proj.3.bn.running_var': 'patch_embed.proj.6.1.running_var',
            'pos_embed.token_projection.conv.bias': 'pos_embeder.token_projection.bias',
            'xca_layers.11.gamma3': 'blocks.11.gamma3',
            'xca_layers.0.local_mp.conv2.conv.weight': 'blocks.0.local_mp.conv2.weight',
            'xca_layers.0.local_mp.conv1.bn.weight': 'blocks.0.local_mp.bn.weight',
            'xca_layers.5.ffn.layers.0.0.weight': 'blocks.5.mlp.fc1.weight',
            'xca_layers.5.ffn.layers.1.bias': 'blocks.5.mlp.fc2.bias'}.items():
        assert torch.equal(source[theirs], weights[ours])


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.backbone.', 'model.encoder.'])
@pytest.mark.parametrize('head', [{}, {'head.fc.bias': torch.ones(1)}])
def test_prefixes_are_removed(prefix, head):
    weights = XCiT(TINY).state_dict()
    translated = checkpoints.translate({prefix + key: value for key, value in weights.items()} | head)
    assert translated.backbone.keys() == weights.keys()
    assert translated.dropped == ([] if prefix else list(head)) and translated.others == (head if prefix else {})


def test_whole_models_keep_the_names_of_their_heads():
    weights = XCiT(TINY).state_dict()
    whole = {f'backbone.{key}': value for key, value in weights.items()} | {'decode_head.bias': torch.ones(1)}
    assert checkpoints.translate(whole).state_dict() == whole


@pytest.mark.parametrize('other', [{}, {'backbone.layer1.weight': torch.ones(1)},
                                   {'pos_embeder.token_projection.bias': torch.ones(1)}])
def test_other_models_are_refused(other):
    keys = 'its keys begin with' if other else 'it is empty'
    with pytest.raises(InputError, match=f'this checkpoint does not contain XCiT weights .{keys}'):
        checkpoints.translate(other)


@pytest.mark.parametrize('arch', ['nano_12_p16', 'nano_12_p8'])
@pytest.mark.parametrize('project', ['timm', 'mmpretrain'])
def test_translated_weights_give_the_same_features_as_the_other_project(project, arch):
    pytest.importorskip(project, reason=f'{project} is not installed', exc_type=ImportError)
    trunk = {name.split()[0]: module for name, module in build_peers(arch).items() if 'XCiT' in name}[project]
    trunk.eval()  # on a separate line, because mmpretrain's eval() returns None
    generator = torch.Generator().manual_seed(0)
    for name, tensor in trunk.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(0.05 * torch.randn(tensor.shape, generator=generator)
                         + (1.0 if 'running_var' in name or 'gamma' in name or 'temperature' in name else 0.0))
    source = trunk.model if project == 'timm' else trunk
    ours = XCiT(arch, pyramid=False).eval()
    assert checkpoints.load(ours, source.state_dict()).format.startswith(project)
    image = torch.randn(2, 3, 80, 112, generator=generator)
    with torch.no_grad():
        theirs, taps = trunk(image), ours(image)
    for level, (tap, other) in enumerate(zip(taps, theirs)):
        other = other.transpose(1, 2).unflatten(2, tap.shape[2:]) if other.ndim == 3 else other
        assert (tap - other).norm() <= 1e-5 * other.norm(), f'tap {level}'
