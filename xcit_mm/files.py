"""Write files and folders that appear only once they are complete, and check folders before any work begins."""
from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InputError, file_error


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to ``path`` when the block ends; create its folder if needed.

    Raises:
        InputError: the file cannot be written.
    """
    partial = path.with_name(f'.{path.name}.partial')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
    except InputError:  # some of these are also OSErrors, but concern another file
        raise
    except OSError as error:
        raise file_error(f'cannot write {path}: {error.strerror or error}', error) from None
    finally:
        with suppress(OSError):  # usually already renamed
            partial.unlink()


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder for temporary files beside ``path``, and remove it when the block ends.

    Its name follows from that of ``path``, so the next run also removes what a killed run leaves behind.
    """
    folder = path.with_name(f'{path.name}.scratch')
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_writable(folder: Path) -> None:
    """Create a folder if needed, and check that files can be written to it.

    Raises:
        InputError: the folder is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise file_error(f'cannot write to the folder {folder}: {error.strerror}', error) from None


@contextmanager
def complete_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces ``path`` when the block ends; remove it if the block fails.

    Raises:
        InputError: the folder cannot be created.
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
            path.rename(partial / 'replaced')  # moved inside, so that a killed run leaves only the partial folder
        partial.rename(path)
        shutil.rmtree(path / 'replaced', ignore_errors=True)
    except InputError:
        raise
    except OSError as error:
        raise file_error(f'cannot create {path}: {error.strerror or error}', error) from None


def size_and_time(path: Path) -> tuple[int, int]:
    """Return a file's size in bytes and its time of modification in nanoseconds, or (0, 0) if it is missing.

    For a folder that is an image, return the total size of its files and the time of the newest one.
    """
    files = [path] if path.is_file() else [file for file in path.rglob('*') if file.is_file()]
    states = [file.stat() for file in files]
    return sum(state.st_size for state in states), max((state.st_mtime_ns for state in states), default=0)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of all files in a folder, in hexadecimal digits."""
    hashed = hashlib.sha256()
    if path.is_dir():
        for inner in sorted(path.rglob('*')):
            content = '' if inner.is_dir() else digest(inner)
            hashed.update(f'{content}  {inner.relative_to(path).as_posix()}\n'.encode())
        return hashed.hexdigest()
    with path.open('rb') as file:
        while piece := file.read(1 << 20):
            hashed.update(piece)
    return hashed.hexdigest()
