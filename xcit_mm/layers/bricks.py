"""Build mmcv's modules. ``mmcv.cnn`` loads MMEngine's runner and FSDP, so it is imported only to build a network."""
from __future__ import annotations

import torch
from torch import nn

from ..errors import InputError, describe_value


def build_norm(norm_cfg: dict, channels: int) -> nn.Module:
    """Build the norm described by an MM config, for maps with ``channels`` channels.

    Raises:
        InputError: the norm does not exist, its settings do not match ``channels``, or it cannot handle (B, C, H, W)
            input.
    """
    from mmcv.cnn import build_norm_layer

    try:
        norm = build_norm_layer(norm_cfg, channels)[1]
        # A norm meant for other shapes fails only when it is run. The width must differ from the number of channels,
        # because a layer norm would accept a map in which they are equal.
        norm.eval()(torch.zeros(1, channels, 2, channels + 1))
    except Exception as error:  # a registered class can raise anything
        reason = next(iter(str(error).splitlines()), '') or 'a setting is missing or wrong'
        raise InputError(f'norm_cfg={describe_value(dict(norm_cfg))} cannot normalise a map of {channels} channels: '
                         f'{reason}; choose another norm or other settings') from error
    return norm.train()


def build_drop_path(rate: float) -> nn.Module:
    """Build a stochastic-depth module, which zeroes each sample with probability ``rate`` during training."""
    from mmcv.cnn.bricks import DropPath

    return DropPath(rate)
