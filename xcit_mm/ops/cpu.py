"""What the CPU of this machine can do."""
from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

BFLOAT16_FLAGS = {'avx512_bf16', 'amx_bf16', 'bf16'}  # in Linux, on x86 and on ARM


@cache
def cpu_facts() -> frozenset[str]:
    """Return the words with which the system describes the CPU: its vendor and, on Linux, its instruction sets."""
    info = Path('/proc/cpuinfo')
    text = info.read_text() if info.exists() else platform.processor().replace(',', ' ')
    return frozenset(text.split())


def is_amd() -> bool:
    """Return whether the CPU is from AMD."""
    return 'AuthenticAMD' in cpu_facts()


def has_bfloat16() -> bool:
    """Return whether the CPU has instructions for bfloat16 products; only Linux tells."""
    return not BFLOAT16_FLAGS.isdisjoint(cpu_facts())
