"""Find the images named on a command line."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ...errors import InputError, MissingInputError
from .source import known_suffixes


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """Return the given files, and the sorted images of the given folders, each once.

    Raises:
        InputError: an input does not exist, a folder holds no images, or the results of two images would have the
            same name.
    """
    images: list[Path] = []
    suffixes = known_suffixes()
    for path in map(Path, inputs):
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes)
            if not found:
                raise InputError(f'no images in the folder {path} ({", ".join(suffixes)})')
            images += found
        elif path.is_file():
            images.append(path)
        else:
            raise MissingInputError(f'no image or folder {path}')
    # Links are not followed: two names of one file give two results.
    images = list({os.path.abspath(path): path for path in images}.values())
    first: dict[str, Path] = {}
    for path in images:
        if first.setdefault(path.stem, path) != path:
            raise InputError(f'{first[path.stem]} and {path} would both be written as {path.stem}; '
                             'rename one, or write them into two folders')
    return images
