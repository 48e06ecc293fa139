"""Read local files."""
from __future__ import annotations

import re
from pathlib import Path

from ...errors import MissingImageError, UnreadableImageError


def read_bytes(path: str | Path, size: int = -1) -> bytes:
    """Return the contents of an image file, or its first ``size`` bytes.

    Raises:
        UnreadableImageError: the path is a URL or a folder, or the file does not exist or cannot be read.
    """
    require_file(path)
    try:
        if size < 0:
            return Path(path).read_bytes()
        with Path(path).open('rb') as file:
            return file.read(size)
    except OSError as error:
        raise UnreadableImageError(f'cannot read {path}: {error.strerror or error}') from None


def require_file(path: str | Path) -> None:
    """Check that a path is a file.

    Raises:
        UnreadableImageError: the path is a URL or a folder, or does not exist.
    """
    if is_url(path):
        raise UnreadableImageError(f'cannot read {path}: an image must be a local file; download it first')
    try:
        if Path(path).is_dir():
            raise UnreadableImageError(f'cannot read {path}: it is a folder; name the images in it')
        exists = Path(path).is_file()
    except OSError as error:  # e.g. too long a name
        raise UnreadableImageError(f'cannot read {str(path)[:100]}: {error.strerror}') from None
    if not exists:
        raise MissingImageError(f'no image file {path}')


def is_url(path: str | Path) -> bool:
    """Return whether a path is a URL; ``Path`` collapses a URL's slashes."""
    return re.match(r'\w{2,}:/', str(path)) is not None
