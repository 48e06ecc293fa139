"""Build mmcv's modules. Importing ``mmcv.cnn`` loads MMEngine's runner and FSDP, so only building a network does so."""
from __future__ import annotations

import torch
from torch import nn

from ..errors import InputError, describe_value


def build_norm(norm_cfg: dict, channels: int) -> nn.Module:
    """Build the norm that an MM config describes, for maps of ``channels`` channels.

    Raises:
        InputError: the norm does not exist, its settings do not fit ``channels``, or it cannot take (B, C, H, W).
    """
    from mmcv.cnn import build_norm_layer

    try:
        norm = build_norm_layer(norm_cfg, channels)[1]
        # A norm for other shapes fails only when it runs. The width differs from the channels, because a layer norm
        # would accept a map in which they are equal.
        norm.eval()(torch.zeros(1, channels, 2, channels + 1))
    except Exception as error:  # a registered class can raise anything
        reason = next(iter(str(error).splitlines()), '') or 'a setting is missing or wrong'
        raise InputError(f'norm_cfg={describe_value(dict(norm_cfg))} cannot normalise a map of {channels} channels: '
                         f'{reason}; choose another norm or other settings') from error
    return norm.train()


def build_drop_path(rate: float) -> nn.Module:
    """Build a stochastic-depth module, which zeroes each sample with probability ``rate`` in training."""
    from mmcv.cnn.bricks import DropPath

    return DropPath(rate)
