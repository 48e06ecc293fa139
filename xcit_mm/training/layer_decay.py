"""Layer-wise learning-rate decay: the nearer a layer is to the image, the less fine-tuning moves it."""
from __future__ import annotations

import re

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from ..backbone import XCiT
from ..errors import InputError


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class XCiTLayerDecayConstructor(DefaultOptimWrapperConstructor):
    """An optimizer-wrapper constructor that multiplies the learning rate by ``layer_decay_rate`` for each layer.

    What follows the last block (pyramid, necks, heads) has the full rate, the last block ``layer_decay_rate`` times
    it, and so on down to the stem and the positional encoding, at ``layer_decay_rate ** (blocks + 1)``. Everything
    else of ``paramwise_cfg`` works as with MMEngine's constructor. In a config::

        optim_wrapper = dict(
            constructor='xcit_mm.training.XCiTLayerDecayConstructor', paramwise_cfg=dict(layer_decay_rate=0.9))

    Raises:
        InputError: no ``layer_decay_rate`` in (0, 1], or no XCiT in the model.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        rate = self.paramwise_cfg.get('layer_decay_rate')
        if not isinstance(rate, (int, float)) or not 0 < rate <= 1:
            raise InputError(f'paramwise_cfg needs a layer_decay_rate in (0, 1], but has {rate}')
        return super().__call__(model)

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs: object) -> None:
        super().add_params(params, module, prefix, **kwargs)  # which calls this for every child
        if prefix:
            return
        rate, layers = self.paramwise_cfg['layer_decay_rate'], _layers_behind(module)
        for group in params:
            parameter, = group['params']
            group['lr'] = group.get('lr', self.base_lr) * rate ** layers.get(id(parameter), 0)


def _layers_behind(module: nn.Module) -> dict[int, int]:
    """For the id of each parameter of an XCiT's stem and blocks, how many layers it is away from its pyramid."""
    distances = {}
    for backbone in module.modules():
        if isinstance(backbone, XCiT):
            for name, parameter in backbone.named_parameters():
                block = re.match(r'blocks\.(\d+)\.', name)
                if block:
                    distances[id(parameter)] = len(backbone.blocks) - int(block[1])
                elif name.startswith(('patch_embed.', 'pos_embeder.')):
                    distances[id(parameter)] = len(backbone.blocks) + 1
    if not distances:
        raise InputError(f'layer_decay_rate is for models with an XCiT, and {type(module).__name__} has none')
    return distances
