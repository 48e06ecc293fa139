"""Writing files and folders that are there completely or not at all."""
from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    finally:
        with suppress(OSError):  # most often it has become the file
            partial.unlink()


@contextmanager
def complete_folder(path: Path) -> Iterator[Path]:
    """Give a new folder to fill, which takes the place of ``path`` when the block ends, and vanishes if it fails.

    Raises:
        InputError: the folder cannot be made.
    """
    partial = path.with_name(path.name + '.partial')
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        if path.exists():
            path.rename(partial / 'replaced')  # inside, so that a kill leaves nothing but the partial folder
        partial.rename(path)
        shutil.rmtree(path / 'replaced', ignore_errors=True)
    except OSError as error:
        raise InputError(f'cannot make {path}: {error.strerror or error}') from None
