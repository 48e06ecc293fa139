"""Finding the images of a command line, and writing what a segmentor says of them."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from .errors import InputError
from .visualization import draw_overlay

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """Files as they are, folders as the images in them, sorted.

    Raises:
        InputError: an input that is not there, a folder without images, or two images whose
            results would have the same name.
    """
    images: list[Path] = []
    for path in map(Path, inputs):
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
            if not found:
                raise InputError(f'no images in the folder {path} ({", ".join(IMAGE_SUFFIXES)})')
            images += found
        elif path.is_file():
            images.append(path)
        else:
            raise InputError(f'no image or folder {path}')
    first: dict[str, Path] = {}
    for path in images:
        if first.setdefault(path.stem, path) != path:
            raise InputError(f'{first[path.stem]} and {path} would both be written as {path.stem}; '
                             'rename one, or run them into two folders')
    return images


def write_segmentation(out_dir: Path, name: str, image: np.ndarray, labels: np.ndarray, meta: dict) -> None:
    """Write ``<name>_classes.png`` (class indices) and ``<name>_overlay.png``; each appears complete.

    Args:
        out_dir: folder, made if needed.
        name: stem of both files.
        image: (H, W, 3) uint8, BGR.
        labels: (H, W) class indices below 256.
        meta: ``classes`` and ``palette`` (RGB).

    Raises:
        InputError: the folder cannot be written to.
    """
    pictures = dict(
        classes=Image.fromarray(labels.astype(np.uint8)),
        overlay=draw_overlay(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), labels, meta['classes'], meta['palette']))
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for kind, picture in pictures.items():
            partial = out_dir / f'.{name}_{kind}.png.partial'
            picture.save(partial, format='PNG')
            os.replace(partial, out_dir / f'{name}_{kind}.png')
    except OSError as error:
        raise InputError(f'cannot write to {out_dir}: {error.strerror or error}') from None
