"""A backbone's ``init_cfg`` loads published weights unchanged, and rejects weights that do not fit."""
import golden
import pytest
import torch
from mmengine.model import PretrainedInit

from xcit_mm import XCiT, checkpoints
from xcit_mm.errors import InputError

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


def save(path, content):
    torch.save(content, path)
    return path


def test_the_authors_classifier_initialises_a_backbone(tmp_path):
    arch, weights, *_ = golden.load_case('nano_12_p16-1x3x64x96-seed11')
    dense = {key: value for key, value in weights.items() if not key.startswith('fpn')}
    classifier = dense | {'cls_token': torch.ones(1, 1, 128), 'cls_attn_blocks.0.gamma1': torch.ones(128),
                          'norm.weight': torch.ones(128), 'head.bias': torch.ones(1000)}
    path = save(tmp_path / 'classifier.pth', dict(model=classifier))
    model = XCiT(arch, init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    model.init_weights()
    loaded = model.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in dense.items())


def test_a_different_architecture_is_refused_and_changes_nothing(tmp_path):
    path = save(tmp_path / 'small.pth', XCiT(TINY).state_dict())
    model = XCiT(TINY | dict(embed_dim=32), init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(InputError, match='does not fit XCiT: it holds .* embed_dim 16, .* has .* embed_dim 32'):
        model.init_weights()
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize('arguments', [dict(pyramid=False), dict(out_indices=(0, 0, 0, 0))])
def test_weights_of_unbuilt_parts_are_dropped(tmp_path, arguments):
    published = XCiT(TINY)
    path = save(tmp_path / 'dense.pth', dict(model=published.state_dict()))
    model = XCiT(TINY, init_cfg=dict(type='Pretrained', checkpoint=str(path)), **arguments)
    model.init_weights()
    assert torch.equal(model.blocks[0].gamma1, published.blocks[0].gamma1)
    with pytest.raises(InputError, match='depth 3, .*, but the model has .* depth 2'):
        checkpoints.load(model, save(tmp_path / 'deeper.pth', XCiT(TINY | dict(depth=3)).state_dict()))


@pytest.mark.parametrize('init_cfg', [
    [dict(type='Pretrained', checkpoint='none.pth')],
    dict(type=PretrainedInit, checkpoint='none.pth'),
    dict(type='Pretrained', checkpoint='none.pth', prefix='backbone.'),
    [dict(type='Pretrained', checkpoint='none.pth'), dict(type='Normal', layer='Linear')],
])
def test_every_spelling_of_pretrained_is_recognised(init_cfg):
    with pytest.raises(InputError, match='none.pth'):
        XCiT(TINY, init_cfg=init_cfg).init_weights()
