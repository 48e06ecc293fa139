"""Load checkpoints even if their keys, or the module's keys, start with the names of wrappers."""
import pytest
import torch
from torch import nn

from xcit_mm import XCiT, checkpoints
from xcit_mm.errors import InputError

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


class Segmentor(nn.Module):

    def __init__(self, scale=1.0):
        super().__init__()
        self.backbone, self.decode_head = XCiT(TINY), nn.Linear(16, 2)
        for value in self.parameters():
            nn.init.constant_(value, scale)


class Pair(nn.Module):

    def __init__(self, first, second):
        super().__init__()
        self.add_module(first, Segmentor(1.0 if first == 'teacher' else 2.0))
        self.add_module(second, Segmentor(1.0 if second == 'teacher' else 2.0))


def rename(weights, change):
    return {change(key): value for key, value in weights.items()}


@pytest.mark.parametrize('change', [
    lambda key: f'model.{key}', lambda key: f'_orig_mod.{key}', lambda key: f'module._orig_mod.{key}',
    lambda key: f'_orig_mod.module.{key}', lambda key: f'lit.net.{key}',
    lambda key: key.replace('backbone.', 'backbone._orig_mod.'),
    lambda key: key.replace('blocks.0.', 'blocks.0._checkpoint_wrapped_module.')])
@pytest.mark.parametrize('make', [Segmentor, lambda scale=1.0: nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))])
def test_prefixes_of_whole_models_are_removed(make, change):
    source, model = make(), make()
    report = checkpoints.load(model, rename(source.state_dict(), change))
    assert report.problems == [] and not report.dropped
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in model.state_dict().items())


def test_the_report_names_a_removed_prefix():
    report = checkpoints.load(Segmentor(), rename(Segmentor().state_dict(), lambda key: f'model.{key}'))
    assert "removed 'model.' at the beginning of its keys" in str(report)
    assert 'beginning of its keys' not in str(checkpoints.load(Segmentor(), Segmentor().state_dict()))


def test_keys_beside_the_prefix_are_refused_by_name():
    weights = rename(Segmentor().state_dict(), lambda key: f'model.{key}') | {'criterion.weight': torch.ones(2)}
    with pytest.raises(InputError, match='1 unexpected, e.g. criterion.weight'):
        checkpoints.load(Segmentor(), weights)


@pytest.mark.parametrize('wrap', [torch.compile, lambda model: nn.ModuleDict(dict(module=model))])
def test_a_plain_checkpoint_fits_a_wrapped_module(wrap):
    source, model = Segmentor(3.0), Segmentor()
    assert checkpoints.load(wrap(model), source.state_dict()).problems == []
    assert model.decode_head.weight[0, 0] == 3 and model.backbone.blocks[0].gamma1[0] == 3


@pytest.mark.parametrize('change', [lambda key: key, lambda key: f'model.{key}'])
def test_a_teacher_and_a_student_get_their_own_weights(change):
    model = Pair('student', 'teacher')
    for value in model.parameters():
        nn.init.zeros_(value)
    report = checkpoints.load(model, rename(Pair('teacher', 'student').state_dict(), change))
    assert report.problems == []
    assert model.student.backbone.blocks[0].gamma1[0] == 2 and model.teacher.backbone.blocks[0].gamma1[0] == 1


def test_a_teacher_in_another_format_is_translated():
    weights = Pair('student', 'teacher').state_dict()
    timm = rename(weights, lambda key: key.replace('pos_embeder.', 'pos_embed.'))
    assert checkpoints.load(Pair('student', 'teacher'), timm).problems == []


@pytest.mark.parametrize('module, source, words', [
    (XCiT(TINY), Pair('student', 'teacher'), r'it holds 2 XCiTs \(student.backbone., teacher.backbone.\)'),
    (Segmentor(), Pair('student', 'teacher'), 'it holds 2 XCiTs'),
    (Pair('student', 'teacher'), Segmentor(), 'it holds one XCiT, but the model has 2'),
])
def test_one_model_of_several_is_not_guessed(module, source, words):
    with pytest.raises(InputError, match=words):
        checkpoints.load(module, source.state_dict(), strict=False)
