"""What the processes of a training agree on."""
from __future__ import annotations

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, is_distributed


def on_any_rank(flag: bool) -> bool:
    """Whether a flag is set in one of the processes, each of which calls this."""
    if not is_distributed():
        return flag
    number = torch.tensor(int(flag), device=get_device())
    all_reduce(number, 'max')
    return bool(number)
