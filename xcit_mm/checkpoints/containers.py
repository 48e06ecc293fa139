"""Weight containers: file formats, each with its own reader. To add one, add a line to ``CONTAINERS``."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile, is_zipfile

import torch

from ..errors import InputError
from .pickles import Tolerant, harmless_classes

HEADER_LIMIT = 100_000_000  # maximum length of a safetensors header in bytes, by the specification


@dataclass(frozen=True)
class Container:
    """A file format for weights.

    Attributes:
        name: name of the format in messages.
        matches: returns whether a file with this path and these first 64 bytes is in this format.
        read: loads a file onto the CPU; its second argument says whether code in the file may run.
        package: package that the reader imports, and the name of our extra that installs it; '' for torch itself.
    """
    name: str
    matches: Callable[[Path, bytes], bool]
    read: Callable[[Path, bool], object]
    package: str = ''


def _is_safetensors(path: Path, start: bytes) -> bool:
    has_header = start[8:9] == b'{' and int.from_bytes(start[:8], 'little') <= HEADER_LIMIT
    return has_header or path.suffix == '.safetensors'


def _read_safetensors(path: Path, trust: bool) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def _read_torch(path: Path, trust: bool) -> object:
    if is_zipfile(path):
        _require_intact(path)
    with harmless_classes():
        if not trust:
            return torch.load(path, map_location='cpu', weights_only=True)
        return torch.load(path, map_location='cpu', weights_only=False, pickle_module=Tolerant)


def _require_intact(path: Path) -> None:
    """Verify the checksums in a zip file, which torch ignores: it would load damaged weights without an error."""
    try:
        with ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # a damaged header can cause any error
        raise ValueError(f'damaged zip file: {error}') from None
    if damaged:
        raise InputError(f'it is damaged: the checksum of {damaged} does not match; copy or download it again')


CONTAINERS = (
    Container('safetensors', _is_safetensors, _read_safetensors, package='safetensors'),
    Container('PyTorch', lambda path, start: True, _read_torch),
)
NOT_WEIGHTS = {  # what downloads often turn out to be
    b'version https://git-lfs': 'it is a pointer of Git LFS, not the weights; run git lfs pull in its folder',
    b'<!doctype html': 'it is a web page, not the weights; download the file itself',
    b'<html': 'it is a web page, not the weights; download the file itself',
}


def is_readable(path: Path) -> bool:
    """Return whether the package that reads files with this suffix is installed."""
    return _is_installed(next(container for container in CONTAINERS if container.matches(path, b'')))


def read_container(path: Path, trust: bool = False) -> object:
    """Load a weights file onto the CPU.

    Raises:
        InputError: the file does not contain weights, or the package that reads it is missing.
        Exception: whatever the reader raises for a corrupt file.
    """
    with path.open('rb') as file:
        start = file.read(64)
    for beginning, reason in NOT_WEIGHTS.items():
        if start.lstrip().lower().startswith(beginning):
            raise InputError(reason)
    container = next(container for container in CONTAINERS if container.matches(path, start))
    if not _is_installed(container):
        raise InputError(f"reading {container.name} needs the package {container.package}; "
                         f"run pip install 'xcit_mm[{container.package}]'")
    return container.read(path, trust)


def _is_installed(container: Container) -> bool:
    return not container.package or find_spec(container.package) is not None
