"""How much memory there is."""
from __future__ import annotations

import re
from pathlib import Path

import psutil
import torch

from .errors import InputError

UNITS = dict(B=1, K=10**3, M=10**6, G=10**9, T=10**12)
CGROUP = Path('/sys/fs/cgroup')


def available_bytes(device: torch.device, max_memory: int | None = None) -> int:
    """Bytes that may still be allocated on a device.

    Args:
        device: a GPU, or anything else for main memory.
        max_memory: that this process may hold in all (on a GPU: its tensors), whatever is free.
    """
    if device.type == 'cuda':
        free, held = torch.cuda.mem_get_info(device)[0], torch.cuda.memory_allocated(device)
        free += torch.cuda.memory_reserved(device) - held
    else:
        free = min(psutil.virtual_memory().available, _container_bytes())
        held = psutil.Process().memory_info().rss
    return free if max_memory is None else min(free, max_memory - held)


def _container_bytes() -> float:
    """What a container's limit leaves, of which the kernel's own figure of the machine knows nothing."""
    try:
        limit, used = (int((CGROUP / f'memory.{name}').read_text()) for name in ('max', 'current'))
        cached = re.search(r'^inactive_file (\d+)', (CGROUP / 'memory.stat').read_text(), re.MULTILINE)
    except (OSError, ValueError):  # no container, or 'max': no limit
        return float('inf')
    return limit - used + int(cached[1])


def parse_bytes(text: str) -> int:
    """``'2GB'``, ``'1.5G'`` or ``'800MB'`` as a number of bytes; in powers of 1000.

    Raises:
        InputError: it says no size.
    """
    match = re.fullmatch(r'([\d.]+)\s*([BKMGT])B?', text.strip().upper())
    try:
        return int(float(match[1]) * UNITS[match[2]])
    except (TypeError, ValueError):
        raise InputError(f'a size of memory is written like 2GB or 800MB, not {text!r}') from None


def format_bytes(number: float) -> str:
    return f'{max(number, 0) / 1e9:.1f} GB'
