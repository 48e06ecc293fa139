"""Compile mmcv's ops, which mmdet needs, into the installed mmcv: once, for minutes; later installs use a cache."""
import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from rich.progress import Progress, TimeElapsedColumn

from xcit_mm.command_line import run
from xcit_mm.errors import InputError

DISTRIBUTIONS = ('onedl-mmcv', 'mmcv')  # of the two MM families
BUILD_TOOLS = ('setuptools<81', 'wheel', 'ninja', 'psutil')  # mmcv's setup.py does not run with newer setuptools
NINJA_STEP = re.compile(r'\[(\d+)/(\d+)\] ')


def install(report: Callable[[int, int], None]) -> Path | None:
    """Replace the installed mmcv by the same version with compiled ops, built here unless a wheel of them is cached.

    The cache is ``$XDG_CACHE_HOME/xcit_mm/wheels`` (default: ``~/.cache``), one folder for each version of mmcv,
    torch and Python, with and without a GPU.

    Args:
        report: called with the steps that are done, and all of them.

    Returns:
        The wheel, or None where the ops were there already.

    Raises:
        InputError: mmcv is not installed, or the build failed; the last lines of the compiler are in the message.
    """
    distribution, mmcv_version = _installed_mmcv()
    if _import_error() is None:
        return None
    python = f'cp{sys.version_info.major}{sys.version_info.minor}'
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'xcit_mm/wheels'
    device = 'cuda' if torch.cuda.is_available() else 'cpu'  # what mmcv compiles for
    folder = cache / f'mmcv-{mmcv_version}-torch-{torch.__version__}-{python}-{device}'
    wheel = next(folder.glob('*.whl'), None)
    if wheel is None:
        _pip('install', '--quiet', *BUILD_TOOLS)
        with tempfile.TemporaryDirectory() as partial:
            _build(f'{distribution}=={mmcv_version}', partial, report)
            built = next(Path(partial).glob('*.whl'))
            folder.mkdir(parents=True, exist_ok=True)
            wheel = folder / built.name
            # Only whole wheels have this name; the cache may be on another disk than the temporary folder.
            copy = wheel.with_suffix('.partial')
            copy.write_bytes(built.read_bytes())
            copy.replace(wheel)
    _pip('install', '--quiet', '--no-deps', '--force-reinstall', str(wheel))
    error = _import_error()
    if error:
        raise InputError(f'the ops of {wheel} cannot be imported: {error}; remove the wheel and try again')
    return wheel


def _import_error() -> str | None:
    """Why a new process cannot import the ops; None where it can."""
    check = subprocess.run([sys.executable, '-c', 'import mmcv.ops'], capture_output=True, text=True)
    return _last_line(check.stderr) if check.returncode else None


def _installed_mmcv() -> tuple[str, str]:
    for distribution in DISTRIBUTIONS:
        try:
            return distribution, version(distribution)
        except PackageNotFoundError:
            pass
    raise InputError("mmcv is not installed: pip install 'xcit_mm[onedl]' first")


def _build(requirement: str, out_dir: str, report: Callable[[int, int], None]) -> None:
    # pip would take a wheel without ops from its cache, which has the same name and version.
    name = requirement.partition('==')[0]
    command = [sys.executable, '-m', 'pip', 'wheel', '--verbose', '--no-deps', '--no-cache-dir',
               '--no-build-isolation', '--no-binary', name, '--wheel-dir', out_dir, requirement]
    process = subprocess.Popen(command, env={**os.environ, 'MMCV_WITH_OPS': '1'}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout  # the pipe
    lines: list[str] = []
    for line in process.stdout:
        lines = [*lines[-19:], line.rstrip()]
        if step := NINJA_STEP.search(line):
            report(int(step[1]), int(step[2]))
    if process.wait():
        raise InputError(f'building the ops of {requirement} failed:\n' + '\n'.join(lines))


def _pip(*arguments: str) -> None:
    result = subprocess.run([sys.executable, '-m', 'pip', '--disable-pip-version-check', *arguments],
                            capture_output=True, text=True)
    if result.returncode:
        raise InputError(f'pip {" ".join(arguments)} failed: {_last_line(result.stderr)}')


def _last_line(text: str) -> str:
    return next(reversed(text.strip().splitlines()), 'no message')


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn()) as progress:
        task = progress.add_task("compiling mmcv's ops", total=None)
        wheel = install(lambda done, total: progress.update(task, completed=done, total=total))
    print(f'installed {wheel}' if wheel else "mmcv's ops are there already")


if __name__ == '__main__':
    run(main)
