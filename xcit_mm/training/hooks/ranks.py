"""Collective decisions across ranks."""
from __future__ import annotations

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, is_distributed


def on_any_rank(flag: bool) -> bool:
    """Return whether the flag is set on any rank; every rank must call this."""
    if not is_distributed():
        return flag
    number = torch.tensor(int(flag), device=get_device())
    all_reduce(number, 'max')
    return bool(number)
