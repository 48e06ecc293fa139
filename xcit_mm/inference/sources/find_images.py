"""Find the images named on a command line."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...errors import InputError, MissingInputError
from .local_file import is_url, require_file
from .source import find_source, known_suffixes


def find_images(inputs: Sequence[str | Path], recursive: bool = False,
                is_result: Callable[[Path], bool] = lambda path: False) -> list[Path]:
    """Return files as they are and replace each folder with its images, sorted; list each image only once.

    A folder that is an image itself, such as OME-Zarr, counts as a file. Within other folders, skip subfolders, hidden
    files such as macOS's ``._a.png``, and results.

    Args:
        inputs: files and folders.
        recursive: include the images in subfolders, except hidden ones.
        is_result: tells whether a file is a result rather than an image.

    Raises:
        InputError: an input does not exist or is a URL, a folder holds no images, a name is not valid UTF-8, or the
            results of two images would have the same name.
    """
    images: list[Path] = []
    for path in map(Path, inputs):
        if path.is_dir() and find_source(path) is not None:
            images.append(path)
            continue
        if not path.is_dir():
            if not path.exists() and not is_url(path):
                raise MissingInputError(f'no image or folder {path}')
            require_file(path)
            images.append(path)
            continue
        found = list(_images_in(path, recursive))
        chosen = [file for file in found if not is_result(file)]
        if not chosen:
            reason = f'all {len(found)} are results' if found else ', '.join(known_suffixes())
            hint = '' if recursive else '; for those in its subfolders, add --recursive'
            raise InputError(f'no images in the folder {path} ({reason}){hint}')
        images += chosen
    # Links are not followed: two names for the same file give two results.
    images = list({os.path.abspath(path): path for path in images}.values())
    first: dict[str, Path] = {}
    for path in images:
        _require_text(path)
        name = result_name(path, inputs)
        if first.setdefault(name, path) != path:
            raise InputError(f'{first[name]} and {path} would both be written as {name}; '
                             'rename one, or write them into two folders')
    return images


def result_name(path: Path, inputs: Sequence[str | Path]) -> str:
    """Return the name for an image's results: the image's path within its input folder, without the suffix."""
    for folder in map(Path, inputs):
        if path.is_relative_to(folder) and folder != path:
            return path.relative_to(folder).with_suffix('').as_posix()
    return path.stem


def _require_text(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f'cannot read {os.fsencode(path)!r}: its name is not valid UTF-8, so that results could not '
                         'be named after it; rename it') from None


def _images_in(folder: Path, recursive: bool) -> Iterator[Path]:
    for root, subfolders, names in os.walk(folder):
        subfolders[:] = [name for name in sorted(subfolders) if not name.startswith('.')]
        images = [name for name in subfolders if find_source(Path(root, name)) is not None]
        subfolders[:] = [name for name in subfolders if recursive and name not in images]
        files = [name for name in names if not name.startswith('.') and find_source(Path(root, name)) is not None]
        for name in sorted([*files, *images]):
            yield Path(root, name)
