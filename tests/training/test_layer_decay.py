import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper

from xcit_mm import XCiT

RATE = 0.5


class Model(BaseModel):

    def __init__(self):
        super().__init__()
        self.backbone = XCiT(dict(embed_dim=16, depth=3, num_heads=2, patch_size=8))
        self.head = torch.nn.Conv2d(16, 2, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.head(self.backbone(inputs)[0])


def build(model, **paramwise):
    return build_optim_wrapper(model, dict(
        constructor='xcit_mm.training.XCiTLayerDecayConstructor', optimizer=dict(type='SGD', lr=1.0, weight_decay=0.1),
        paramwise_cfg=paramwise))


def test_each_parameter_moves_at_the_rate_of_its_layer():
    model = Model()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = build(model, layer_decay_rate=RATE, custom_keys={'': dict(decay_mult=0.0)})
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    layers = {'backbone.patch_embed.': 4, 'backbone.pos_embeder.': 4, 'backbone.blocks.0.': 3, 'backbone.blocks.1.': 2,
              'backbone.blocks.2.': 1, 'backbone.fpn': 0, 'head.': 0}
    for name, parameter in model.named_parameters():
        layer, = [layer for start, layer in layers.items() if name.startswith(start)]
        torch.testing.assert_close(before[name] - parameter, torch.full_like(parameter, RATE ** layer))


def test_other_paramwise_rules_still_apply():
    model = Model()
    optimizer = build(model, layer_decay_rate=RATE, custom_keys=dict(norm=dict(decay_mult=0.0), head=dict(lr_mult=10)))
    groups = {id(group['params'][0]): group for group in optimizer.param_groups}
    assert set(groups) >= {id(parameter) for parameter in model.parameters()}
    norm, linear = model.backbone.blocks[2].norm1.weight, model.backbone.blocks[2].mlp.fc1.weight
    assert groups[id(norm)]['weight_decay'] == 0 and groups[id(linear)]['weight_decay'] == 0.1
    assert groups[id(norm)]['lr'] == RATE and groups[id(model.head.weight)]['lr'] == 10


@pytest.mark.parametrize('rate', [None, 0, 1.5, '0.9'])
def test_invalid_rate_is_refused(rate):
    with pytest.raises(ValueError, match='layer_decay_rate'):
        build(Model(), layer_decay_rate=rate)


def test_missing_rate_is_refused():
    for config in (dict(), dict(paramwise_cfg=dict())):
        with pytest.raises(ValueError, match='layer_decay_rate'):
            build_optim_wrapper(Model(), dict(
                constructor='xcit_mm.training.XCiTLayerDecayConstructor', optimizer=dict(type='SGD', lr=1.0), **config))


def test_model_without_xcit_is_refused():
    with pytest.raises(ValueError, match='Linear contains no XCiT'):
        build(torch.nn.Linear(2, 2), layer_decay_rate=RATE)
