"""Measure available memory, and parse and format sizes."""
from __future__ import annotations

import re
from pathlib import Path

import psutil
import torch

from ..errors import InputError

UNITS = dict(B=1, K=10**3, M=10**6, G=10**9, T=10**12, KI=2**10, MI=2**20, GI=2**30, TI=2**40)
CGROUP, PROCESS_GROUP = Path('/sys/fs/cgroup'), Path('/proc/self/cgroup')
# For versions 2 and 1 of control groups: a pattern for this process's line in PROCESS_GROUP, the folder, and the names
# of the limit, the usage and the cached files. In version 1, only the names with ``total_`` include subgroups.
CGROUP_VERSIONS = ((r'^0::/(.*)$', '.', 'max', 'current', '(?:in)?active'),
                   (r'^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:/(.*)$', 'memory', 'limit_in_bytes', 'usage_in_bytes',
                    'total_(?:in)?active'))


def available_bytes(device: torch.device, max_memory: int | None = None) -> int:
    """Return the number of bytes that can still be allocated on a device.

    Args:
        device: a GPU; for any other device, main memory is measured.
        max_memory: upper limit, in bytes, for this process (on a GPU, for its tensors), even if more memory is free.
    """
    if device.type == 'cuda':
        free, held = torch.cuda.mem_get_info(device)[0], torch.cuda.memory_allocated(device)
        free += torch.cuda.memory_reserved(device) - held
    else:
        free = min(psutil.virtual_memory().available, _container_bytes())
        held = psutil.Process().memory_info().rss
    return free if max_memory is None else min(free, max_memory - held)


def _container_bytes() -> float:
    """Return the bytes left under control-group limits, which the machine-wide figures ignore."""
    try:
        groups = PROCESS_GROUP.read_text()
    except OSError:  # not on Linux
        return float('inf')
    left = [float('inf')]
    for pattern, folder, limit, usage, cached in CGROUP_VERSIONS:
        if match := re.search(pattern, groups, re.MULTILINE):
            own = CGROUP / folder / match[1]
            # In a container, the path may be the host's, while the container's own group is mounted at the top.
            left += [_group_bytes(group, limit, usage, cached) for group in (own, *own.parents)]
    return min(left)


def _group_bytes(group: Path, limit: str, usage: str, cached: str) -> float:
    """Return the bytes left under the limit of one control group."""
    try:
        total, used = (int((group / f'memory.{name}').read_text()) for name in (limit, usage))
        sizes = re.findall(rf'^{cached}_file (\d+)', (group / 'memory.stat').read_text(), re.MULTILINE)
    except (OSError, ValueError):  # no such group, or no limit ('max')
        return float('inf')
    return total - used + sum(map(int, sizes))  # the kernel can drop cached files


def parse_bytes(text: str | int | None) -> int | None:
    """Convert ``'2GB'``, ``'1.5G'`` (powers of 1000) or ``'2 GiB'`` (powers of 1024) to bytes.

    A number or None is returned unchanged.

    Raises:
        InputError: the text is not a size with a unit.
    """
    if not isinstance(text, str):
        return text
    match = re.fullmatch(r'(\d+\.?\d*|\.\d+)\s*(B|[KMGT]I?)B?', text.strip().upper())
    if match is None:
        raise InputError(f'invalid memory size {text!r}: write it like 2GB or 800MB')
    return int(float(match[1]) * UNITS[match[2]])


def format_bytes(number: float) -> str:
    """Format bytes as ``'1.5 GB'`` or, below 1 GB, as ``'20 MB'``."""
    return f'{number / 1e9:.1f} GB' if number >= 1e9 else f'{max(number, 0) / 1e6:.0f} MB'
