"""Record the files that sinks write, so that no other file is replaced and no result is mistaken for an image."""
from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import InputError
from ...files import complete_file

RECORD = '.xcit_mm_results'  # in each folder of results, in the format of sha256sum


@contextmanager
def result_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to ``path`` when the block ends, and record the file.

    Raises:
        InputError: the file cannot be written, or ``path`` already exists and is not an unchanged result.
    """
    require_replaceable(path)
    with complete_file(path) as partial:
        yield partial
        line = f'{_digest(partial)}  {path.name}\n'  # before the rename: an unrecorded result could not be replaced
        with (path.parent / RECORD).open('a', encoding='utf-8') as record:
            record.write(line)


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
        lines = (path.parent / RECORD).read_text(encoding='utf-8').splitlines()
        digests = {line[:64] for line in lines if line[66:] == path.name}
        return bool(digests) and not path.is_symlink() and _digest(path) in digests
    except (OSError, UnicodeError):
        return False


def _digest(path: Path) -> str:
    with path.open('rb') as file:
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
