"""Write a benchmark's JSON file: the results, the command, the machine and the versions."""
from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

from xcit_mm.files import complete_file
from xcit_mm.ops import products

DISTRIBUTIONS = (
    'torch', 'numpy', 'torchvision', 'timm', 'onnxruntime', 'openvino', 'onedl-mmengine', 'onedl-mmcv',
    'onedl-mmsegmentation', 'onedl-mmpretrain', 'mmengine', 'mmcv', 'mmsegmentation', 'mmpretrain')


def write(path: Path, environment: dict, results: list[dict]) -> None:
    """Write the results, along with the output of ``describe_environment`` from before the first run.

    Raises:
        InputError: the file cannot be written.
        ValueError: a number is not finite, which strict JSON cannot represent.
    """
    content = dict(environment=environment, results=results)
    with complete_file(path) as file:
        file.write_text(json.dumps(content, indent=1, allow_nan=False) + '\n')


def describe_environment() -> dict:
    """Return the machine, the versions and the command as values that strict JSON can represent."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return dict(
        command=shlex.join(['python', *sys.argv]),
        commit=_commit(),
        cpu=_cpu_name(),
        cores=os.cpu_count(),
        gpu=gpu,
        threads=torch.get_num_threads(),
        products=products.library(),
        python=platform.python_version(),
        versions={name: version for name in DISTRIBUTIONS if (version := _version(name))})


def _commit() -> str | None:
    """Return the checkout's commit, with ``-dirty`` appended if files differ from it, or None outside a checkout."""
    command = ['git', '-C', str(Path(__file__).parent), 'describe', '--always', '--dirty', '--abbrev=40']
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


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
