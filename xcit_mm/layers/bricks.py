"""Build mmcv's modules. ``mmcv.cnn`` loads MMEngine's runner and FSDP, so it is imported only to build a network."""
from __future__ import annotations

from torch import nn


def build_norm(norm_cfg: dict, channels: int) -> nn.Module:
    """Build the norm that an MM config describes, for maps of ``channels`` channels."""
    from mmcv.cnn import build_norm_layer

    return build_norm_layer(norm_cfg, channels)[1]


def build_drop_path(rate: float) -> nn.Module:
    """Build a stochastic-depth module, which zeroes each sample with probability ``rate`` in training."""
    from mmcv.cnn.bricks import DropPath

    return DropPath(rate)
