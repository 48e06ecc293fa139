"""A benchmark's JSON file: what was measured, by which command, where, and with what."""
from __future__ import annotations

import json
import platform
import sys
from importlib import metadata
from pathlib import Path

import torch
from mmengine.utils import get_git_hash

from ..files import complete_file

DISTRIBUTIONS = ('torch', 'numpy', 'timm', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmsegmentation',
                 'onedl-mmpretrain', 'mmengine', 'mmcv', 'mmsegmentation', 'mmpretrain')


def write(path: Path, results: list[dict]) -> None:
    """Write results beside a description of this machine.

    Raises:
        InputError: the file cannot be written.
        ValueError: a number is not finite, which JSON cannot say.
    """
    content = dict(environment=describe_environment(), results=results)
    with complete_file(path) as file:
        file.write_text(json.dumps(content, indent=1, allow_nan=False) + '\n')


def describe_environment() -> dict:
    """Machine, versions and command, as strict JSON takes them."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return dict(
        command=' '.join(['python', *sys.argv]),
        commit=get_git_hash(fallback='unknown'),
        cpu=_cpu_name(),
        gpu=gpu,
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        versions={name: version for name in DISTRIBUTIONS if (version := _version(name))})


def _cpu_name() -> str:
    info = Path('/proc/cpuinfo')
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith('model name'):
            return line.split(':', 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
