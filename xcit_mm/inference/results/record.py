"""Record the files that sinks write, so that no other file is replaced and no result is mistaken for an image."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from ...errors import InputError
from ...files import complete_file, digest

RECORD = '.xcit_mm_results'  # in each folder of results, in the format of sha256sum
_WRITTEN: ContextVar[list[Path] | None] = ContextVar('written', default=None)


@contextmanager
def collect_results() -> Iterator[list[Path]]:
    """Yield a list of the result files that have been written completely in the ``with`` block."""
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
        line = f'{digest(partial)}  {path.name}\n'  # before the rename: an unrecorded result could not be replaced
        with (path.parent / RECORD).open('a', encoding='utf-8') as record:
            record.write(line)
    if (written := _WRITTEN.get()) is not None:
        written.append(path)


def require_replaceable(path: Path) -> None:
    """Check that a file either does not exist or is a result.

    Raises:
        InputError: see above.
    """
    if (path.exists() or path.is_symlink()) and not is_result(path):
        raise InputError(f'cannot write {path}: this file exists and is not an unchanged result of an earlier run; '
                         'move it or choose another folder')


def is_result(path: Path) -> bool:
    """Return whether a file is a result that has not changed since it was written."""
    try:
        ending = f'  {path.name}'
        lines = (path.parent / RECORD).read_text(encoding='utf-8').splitlines()
        # A line may follow one that a full disk cut off.
        digests = {line.removesuffix(ending)[-64:] for line in lines if line.endswith(ending)}
        return bool(digests) and not path.is_symlink() and digest(path) in digests
    except (OSError, UnicodeError):
        return False
