"""Compile mmcv's ops, which mmdet needs, and install them. The first install takes minutes; later ones use a cache."""
import argparse
import os
import re
import shutil
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
# onedl-mmcv needs setuptools 80 or newer, and mmcv's setup.py does not run with 81.
BUILD_TOOLS = ('setuptools>=80,<81', 'wheel', 'ninja', 'psutil')
NINJA_STEP = re.compile(r'\[(\d+)/(\d+)\] ')
COMPILER_ERROR = re.compile(r': (fatal )?error\b')
Report = Callable[[int, int], None]


def install(report: Report) -> Path | None:
    """Replace the installed mmcv with the same version plus compiled ops, building the wheel if it is not cached.

    The cache is ``$XDG_CACHE_HOME/xcit_mm/wheels`` (default: ``~/.cache``), with one folder for each combination of
    mmcv, torch, Python and device (CPU or CUDA).

    Args:
        report: called with the number of finished build steps and the total number.

    Returns:
        The path of the wheel, or None if mmcv already had its ops.

    Raises:
        InputError: mmcv is not installed, or the build failed. The message includes the compiler's errors.
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
            _build(distribution, mmcv_version, partial, report)
            built = next(Path(partial).glob('*.whl'))
            folder.mkdir(parents=True, exist_ok=True)
            wheel = folder / built.name
            # An interrupted copy must not look like a wheel, and the cache might be on a different disk from `built`.
            copy = wheel.with_suffix('.partial')
            copy.write_bytes(built.read_bytes())
            copy.replace(wheel)
    _pip('install', '--quiet', '--no-deps', '--force-reinstall', str(wheel))
    error = _import_error()
    if error:
        raise InputError(f'the ops of {wheel} cannot be imported: {error}; remove the wheel and try again')
    return wheel


def _import_error() -> str | None:
    """Return the reason a new process cannot import the ops, or None if it can."""
    check = subprocess.run([sys.executable, '-c', 'import mmcv.ops'], capture_output=True, text=True)
    return _last_line(check.stderr) if check.returncode else None


def _installed_mmcv() -> tuple[str, str]:
    for distribution in DISTRIBUTIONS:
        try:
            return distribution, version(distribution)
        except PackageNotFoundError:
            pass
    raise InputError("mmcv is not installed: pip install 'xcit_mm[onedl]' first")


def _build(name: str, mmcv_version: str, out_dir: str, report: Report) -> None:
    """Build the wheel from merged sources, which is much faster, or from the original sources if that fails."""
    with tempfile.TemporaryDirectory() as download:
        _pip('download', '--no-deps', '--no-cache-dir', '--no-build-isolation', '--no-binary', name, '--dest', download,
             f'{name}=={mmcv_version}')
        archive = next(Path(download).iterdir())
        shutil.unpack_archive(archive, f'{download}/unpacked')
        source = next(Path(download, 'unpacked').iterdir())
        try:
            _merge_bindings(source / 'mmcv/ops/csrc/pytorch')
            # Python's default flags turn on debug information, which doubles the build time and makes the binary
            # several times larger.
            _build_wheel(source, out_dir, {'CFLAGS': f'{os.environ.get("CFLAGS", "")} -g0'.strip()}, report)
        except InputError as error:
            print(f'{error}\nThe fast build failed; compiling each file separately, which takes minutes longer.',
                  file=sys.stderr)
            _build_wheel(archive, out_dir, {}, report)


def _merge_bindings(folder: Path) -> None:
    """Merge the bindings of all ops into one file, so that the compiler parses torch's headers for them only once.

    The kernels (``cpu/``, ``cuda/``) stay separate because several define the same names. ``pybind.cpp`` stays separate
    because it takes longer to compile than all the bindings together, and this way it compiles in parallel with them.
    """
    bindings = sorted(path for path in folder.glob('*.cpp') if path.name != 'pybind.cpp')
    if not bindings:
        raise InputError(f'cannot merge the bindings of the ops: {folder} does not contain them')
    merged = '\n'.join(path.read_text(encoding='utf-8') for path in bindings)
    for path in bindings:
        path.unlink()
    (folder / 'bindings.cpp').write_text(merged, encoding='utf-8')


def _build_wheel(source: Path, out_dir: str, flags: dict[str, str], report: Report) -> None:
    # pip's cache may hold a wheel of the same name and version without ops.
    command = [sys.executable, '-m', 'pip', 'wheel', '--verbose', '--no-deps', '--no-cache-dir', '--no-build-isolation',
               '--wheel-dir', out_dir, str(source)]
    process = subprocess.Popen(command, env={**os.environ, 'MMCV_WITH_OPS': '1', **flags}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout  # the pipe
    errors: list[str] = []  # pip and torch print many more lines after these
    last: list[str] = []
    for line in process.stdout:
        last = [*last[-19:], line.rstrip()]
        if COMPILER_ERROR.search(line):
            errors.append(line.rstrip())
        if step := NINJA_STEP.search(line):
            report(int(step[1]), int(step[2]))
    if process.wait():
        raise InputError(f'building the ops of {source.name} failed:\n' + '\n'.join(errors[:5] or last))


def _pip(*arguments: str) -> None:
    result = subprocess.run([sys.executable, '-m', 'pip', '--disable-pip-version-check', *arguments],
                            capture_output=True, text=True)
    if result.returncode:
        last = '\n'.join(result.stderr.splitlines()[-20:])
        raise InputError(f'pip {" ".join(arguments)} failed:\n{last}')


def _last_line(text: str) -> str:
    return next(reversed(text.strip().splitlines()), 'no message')


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn()) as progress:
        task = progress.add_task("compiling mmcv's ops", total=None)
        wheel = install(lambda done, total: progress.update(task, completed=done, total=total))
    print(f'installed {wheel}' if wheel else "mmcv's ops are already installed")


if __name__ == '__main__':
    run(main)
