"""Layer-wise learning-rate decay: the closer a layer is to the image, the less fine-tuning changes it."""
from __future__ import annotations

import re

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from ..backbone import XCiT
from ..errors import InputError


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class XCiTLayerDecayConstructor(DefaultOptimWrapperConstructor):
    """Optimizer-wrapper constructor that multiplies the learning rate by ``layer_decay_rate`` for each layer.

    Everything after the last block (pyramid, necks, heads) trains at the full rate, and the last block trains at
    ``layer_decay_rate`` times that rate. The factor shrinks with each block, down to
    ``layer_decay_rate ** (blocks + 1)`` for the stem and the positional encoding. All other keys of
    ``paramwise_cfg`` work as in MMEngine's constructor. In a config::

        optim_wrapper = dict(
            constructor='xcit_mm.training.XCiTLayerDecayConstructor', paramwise_cfg=dict(layer_decay_rate=0.9))

    Raises:
        InputError: ``layer_decay_rate`` is missing or not in (0, 1], or the model contains no XCiT.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        rate = self.paramwise_cfg.get('layer_decay_rate')
        if not isinstance(rate, (int, float)) or not 0 < rate <= 1:
            raise InputError(f'cannot use layer_decay_rate={rate!r}: the rate must lie in (0, 1]; '
                             'set optim_wrapper.paramwise_cfg.layer_decay_rate')
        return super().__call__(model)

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs: object) -> None:
        super().add_params(params, module, prefix, **kwargs)  # calls this method for every child
        if prefix:
            return
        rate, layers = self.paramwise_cfg['layer_decay_rate'], _layers_to_pyramid(module)
        for group in params:
            parameter, = group['params']
            group['lr'] = group.get('lr', self.base_lr) * rate ** layers.get(id(parameter), 0)


def _layers_to_pyramid(module: nn.Module) -> dict[int, int]:
    """Map the id of each parameter in an XCiT's stem and blocks to its distance from the pyramid, in layers."""
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
        raise InputError(f'cannot apply layer_decay_rate: {type(module).__name__} contains no XCiT; '
                         'remove optim_wrapper.constructor from the config')
    return distances
