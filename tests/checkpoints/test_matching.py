"""Find the XCiT in a module, and determine where each weight in a checkpoint belongs."""
import pytest
import torch
from torch import nn

from xcit_mm import XCiT, checkpoints
from xcit_mm.checkpoints.matching import find_backbones
from xcit_mm.errors import InputError
from xcit_mm.variants import get_variant

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


class Classifier(nn.Module):
    """A model whose head has the same name as a classifier's head."""

    def __init__(self):
        super().__init__()
        self.backbone, self.head = XCiT(TINY), nn.Linear(16, 2)


class OtherXCiT(nn.Module):
    """A backbone that follows the protocol but is not one of our classes."""

    def __init__(self):
        super().__init__()
        self.variant = get_variant(TINY)
        self.pos_embeder, self.blocks = XCiT(TINY).pos_embeder, XCiT(TINY).blocks

    def unbuilt_keys(self):
        return {r'patch_embed\.': 'no stem', r'fpn': 'no pyramid'}


class OtherVariant(nn.Module):
    """A module whose attributes have the names used in the protocol but different meanings."""

    variant = 'small'

    def unbuilt_keys(self):
        return {}


def test_a_backbone_is_found_by_its_protocol():
    backbone = OtherXCiT()
    assert find_backbones(backbone) == {'': backbone}
    assert find_backbones(nn.Sequential(OtherVariant(), nn.Linear(2, 2), backbone)) == {'2.': backbone}
    report = checkpoints.load(backbone, XCiT(TINY).state_dict())
    assert report.arch == str(backbone.variant) and set(report.dropped) == {'no stem', 'no pyramid'}


@pytest.mark.parametrize('module', [nn.Linear(2, 2), OtherVariant(), nn.Sequential(OtherVariant())])
def test_other_modules_are_not_taken_for_a_backbone(module):
    assert find_backbones(module) == {}


def test_a_wrapper_that_forwards_attributes_is_not_the_backbone():
    backbone = XCiT(TINY)
    compiled = torch.compile(backbone)
    assert hasattr(compiled, 'unbuilt_keys') and find_backbones(compiled) == {'': backbone}


def test_a_model_loads_its_own_weights_whatever_the_name_of_its_head():
    report = checkpoints.load(Classifier(), Classifier().state_dict())
    assert report.matched == report.wanted and not report.dropped


def test_heads_that_the_model_lacks_are_dropped():
    weights = {f'backbone.{key}': value for key, value in XCiT(TINY).state_dict().items()}
    source = weights | {'head.fc.weight': torch.ones(1), 'neck.weight': torch.ones(1)}
    report = checkpoints.load(XCiT(TINY), source)
    assert report.dropped == {'parts outside the backbone': ['head.fc.weight', 'neck.weight']}
    model = Classifier()
    model.head, model.neck = nn.Identity(), nn.Conv1d(1, 1, 1, bias=False)
    source['neck.weight'] = torch.ones(1, 1, 1)
    assert checkpoints.load(model, source).dropped == {'classifier or projection head': ['head.fc.weight']}


def test_an_error_about_different_classes_names_the_remedies():
    source = Classifier().state_dict()
    checkpoints.load(Classifier(), source | {'head.weight': torch.ones(2, 16)})
    with pytest.raises(InputError, match='heads or classes differ; .*init_cfg.*load_from_strict = False'):
        checkpoints.load(Classifier(), source | {'head.weight': torch.ones(3, 16)})


def test_a_backbone_starts_from_a_whole_model():
    weights = XCiT(TINY).state_dict()
    content = {f'backbone.{key}': value for key, value in weights.items()} | {'decode_head.conv.bias': torch.ones(1)}
    model = XCiT(TINY)
    report = checkpoints.load(model, content)
    assert report.dropped == {'parts outside the backbone': ['decode_head.conv.bias']}
    assert torch.equal(model.blocks[0].gamma1, weights['blocks.0.gamma1'])


def test_the_report_names_the_parts_that_are_randomly_initialised():
    arch = TINY | dict(patch_size=16)
    weights = {key: value for key, value in XCiT(arch).state_dict().items() if not key.startswith('fpn')}
    report = checkpoints.load(XCiT(arch), weights)
    assert str(report).endswith('; randomly initialised: fpn1, fpn2') and report.problems == []


def run_stem(model, image):
    return model.eval().patch_embed.proj[0](image)


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_an_rgb_stem_becomes_grey_by_its_sum(prefix):
    rgb = XCiT(TINY)
    grey = XCiT(TINY, in_channels=1)
    module = nn.Module() if prefix else grey
    if prefix:
        module.backbone = grey
    report = checkpoints.load(module, {prefix + key: value for key, value in rgb.state_dict().items()})
    image = torch.randn(1, 1, 16, 16)
    torch.testing.assert_close(run_stem(grey, image), run_stem(rgb, image.expand(-1, 3, -1, -1)))
    assert 'adapted the RGB stem to 1 channel: the sum of its weights' in str(report) and not report.problems


@pytest.mark.parametrize('channels', [2, 4, 13])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_an_rgb_stem_repeats_cyclically_for_other_channels(channels, dtype):
    source = XCiT(TINY).to(dtype).state_dict()
    model = XCiT(TINY, in_channels=channels)
    report = checkpoints.load(model, source)
    weight, stem = model.patch_embed.proj[0][0].weight, source['patch_embed.proj.0.0.weight']
    for channel in range(channels):
        torch.testing.assert_close(weight[:, channel], (stem[:, channel % 3].float() * 3 / channels).to(dtype).float())
    assert f'adapted the RGB stem to {channels} channels: ' in str(report)
    assert f'multiplied by 3 / {channels}' in str(report)


def test_a_stem_of_as_many_channels_loads_as_it_is():
    source = XCiT(TINY, in_channels=4)
    model = XCiT(TINY, in_channels=4)
    report = checkpoints.load(model, source.state_dict())
    assert not report.adapted and torch.equal(model.patch_embed.proj[0][0].weight, source.patch_embed.proj[0][0].weight)


def test_only_an_rgb_stem_is_adapted():
    with pytest.raises(InputError, match=r'for images with 4 channels, not 3; set model\.backbone\.in_channels=4'):
        checkpoints.load(XCiT(TINY), XCiT(TINY, in_channels=4).state_dict())
    with pytest.raises(InputError, match=r'for images with 3 channels, not 4; set model\.backbone\.in_channels=3'):
        model = XCiT(TINY, in_channels=4)
        placement = checkpoints.prepare(model, XCiT(TINY).state_dict(), 'the checkpoint', adapt_stem=False)
        checkpoints.apply(model, placement, strict=True, name='the checkpoint')


@pytest.mark.parametrize('strides', [(4, ), (16, ), (8, 16, 32), (4, 8, 16, 32, 64)])
def test_levels_load_from_the_published_pyramid_by_their_stride(strides):
    published = XCiT(TINY | dict(patch_size=16))
    levels = dict(zip(published.out_strides, published.resamplers()))
    model = XCiT(TINY | dict(patch_size=16), out_strides=strides)
    report = checkpoints.load(model, published.state_dict())
    image = torch.randn(1, 16, 4, 4)
    for stride, resampler in zip(model.out_strides, model.resamplers()):
        if stride in levels:
            assert torch.equal(resampler.eval()(image), levels[stride].eval()(image))
    unbuilt = {f'fpn{level}.' for level, stride in ((1, 4), (2, 8)) if stride not in strides}
    dropped = report.dropped.get('levels not in out_strides', [])
    assert {key[:5] for key in dropped} == unbuilt and not report.fresh
    again = XCiT(TINY | dict(patch_size=16), out_strides=strides)
    assert not checkpoints.load(again, model.state_dict()).dropped


def test_levels_that_a_checkpoint_lacks_are_randomly_initialised():
    source = XCiT(TINY | dict(patch_size=16), out_strides=(8, 16, 32)).state_dict()
    report = checkpoints.load(XCiT(TINY | dict(patch_size=16)), source)
    assert str(report).endswith('; randomly initialised: fpn1')
    del source['fpn2.0.bias']
    with pytest.raises(InputError, match='1 missing, e.g. fpn2.0.bias'):
        checkpoints.load(XCiT(TINY | dict(patch_size=16)), source)
