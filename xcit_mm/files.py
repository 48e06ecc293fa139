"""Writing files that are there completely or not at all."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes ``path`` when the block ends; its folder is made if needed.

    Raises:
        InputError: the file cannot be written.
    """
    partial = path.with_name(f'.{path.name}.partial')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f'cannot write {path}: {error.strerror or error}') from None
