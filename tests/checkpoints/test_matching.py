"""Find the XCiT in a module, and where every weight of a checkpoint belongs."""
import pytest
import torch
from torch import nn

from xcit_mm import XCiT, checkpoints
from xcit_mm.checkpoints.matching import find_backbones
from xcit_mm.errors import InputError
from xcit_mm.variants import get_variant

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


class Classifier(nn.Module):
    """A model whose head is named like that of a classifier."""

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
    """A module with attributes named as in the protocol but with other meanings."""

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
