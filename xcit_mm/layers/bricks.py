"""mmcv's building blocks. ``mmcv.cnn`` loads MMEngine's runner and FSDP, so it is imported once a network is built."""
from __future__ import annotations

import torch
from torch import nn

from ..errors import InputError, describe_value


def build_norm(norm_cfg: dict, channels: int) -> nn.Module:
    """Build the norm of an MM config for maps of ``channels`` channels.

    Raises:
        InputError: there is no such norm, its settings do not fit ``channels``, or it does not take (B, C, H, W).
    """
    from mmcv.cnn import build_norm_layer

    try:
        norm = build_norm_layer(norm_cfg, channels)[1]
        # Norms of other shapes fail only when they run; a layer norm takes any map whose width equals its channels.
        norm.eval()(torch.zeros(1, channels, 2, channels + 1))
    except Exception as error:  # a registered class can raise anything
        reason = next(iter(str(error).splitlines()), '') or 'a setting is missing or wrong'
        raise InputError(f'norm_cfg={describe_value(dict(norm_cfg))} cannot normalise a map of {channels} channels: '
                         f'{reason}; choose another norm or other settings') from error
    return norm.train()


def build_drop_path(rate: float) -> nn.Module:
    """Build stochastic depth that zeros a sample with probability ``rate`` in training."""
    from mmcv.cnn.bricks import DropPath

    return DropPath(rate)
