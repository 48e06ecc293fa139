"""Record what sinks write, so that no other file is replaced and no result is mistaken for an image."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from ...errors import InputError, file_error
from ...files import complete_file, digest, scratch_folder

RECORD = '.xcit_mm_results'  # in each folder of results, in the format of sha256sum
_WRITTEN: ContextVar[list[Path] | None] = ContextVar('written', default=None)


@contextmanager
def collect_results() -> Iterator[list[Path]]:
    """Yield a list of the results that have been written completely in the ``with`` block."""
    written: list[Path] = []
    token = _WRITTEN.set(written)
    try:
        yield written
    finally:
        _WRITTEN.reset(token)


@contextmanager
def result_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to ``path`` when the block ends, and record the file.

    Raises:
        InputError: the file cannot be written, or ``path`` already exists and is not an unchanged result.
    """
    require_replaceable(path)
    with complete_file(path) as partial:
        yield partial
        _record(partial, path)
    _note(path)


@contextmanager
def result_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that is renamed to ``path`` when the block ends, and record it.

    Raises:
        InputError: the folder cannot be written, or ``path`` already exists and is not an unchanged result.
    """
    require_replaceable(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(path.with_name(f'.{path.name}')) as scratch:
            partial = scratch / 'new'
            partial.mkdir()
            yield partial
            _record(partial, path)
            if path.exists():
                path.rename(scratch / 'old')
            partial.rename(path)
    except InputError:  # some of these are also OSErrors, but concern another file
        raise
    except OSError as error:
        raise file_error(f'cannot write {path}: {error.strerror or error}', error) from None
    _note(path)


def _record(partial: Path, path: Path) -> None:
    """Record a result before it is renamed to ``path``, because an unrecorded result could not be replaced."""
    line = f'{digest(partial)}  {path.name}\n'
    with (path.parent / RECORD).open('a', encoding='utf-8') as record:
        record.write(line)


def _note(path: Path) -> None:
    if (written := _WRITTEN.get()) is not None:
        written.append(path)


def require_replaceable(path: Path) -> None:
    """Check that a file or folder either does not exist or is a result.

    Raises:
        InputError: see above.
    """
    if (path.exists() or path.is_symlink()) and not is_result(path):
        kind = 'folder' if path.is_dir() else 'file'
        raise InputError(f'cannot write {path}: this {kind} exists and is not an unchanged result of an earlier run; '
                         'move it or choose another folder')


def is_result(path: Path) -> bool:
    """Return whether a file or folder is a result that has not changed since it was written."""
    try:
        ending = f'  {path.name}'
        lines = (path.parent / RECORD).read_text(encoding='utf-8').splitlines()
        # A line may follow one that a full disk cut off.
        digests = {line.removesuffix(ending)[-64:] for line in lines if line.endswith(ending)}
        return bool(digests) and not path.is_symlink() and digest(path) in digests
    except (OSError, UnicodeError):
        return False
