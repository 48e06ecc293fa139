"""Finding the images of a command line, and reading images."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import mmcv
import numpy as np

from ...errors import InputError, UnreadableImageError

Image = str | Path | np.ndarray
IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def find_images(inputs: Sequence[str | Path]) -> list[Path]:
    """Files as they are, folders as the images in them, sorted; each image once.

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
    # Links are not followed: two names of one file are two results.
    images = list({os.path.abspath(path): path for path in images}.values())
    first: dict[str, Path] = {}
    for path in images:
        if first.setdefault(path.stem, path) != path:
            raise InputError(f'{first[path.stem]} and {path} would both be written as {path.stem}; '
                             'rename one, or run them into two folders')
    return images


def read_image(image: Image, color_type: str = 'color', imdecode_backend: str = 'cv2') -> np.ndarray:
    """Read an image file, or check an array: (H, W, 3) uint8, BGR.

    Args:
        image: as in ``inference_segmentor``.
        color_type, imdecode_backend: of mmcv's ``LoadImageFromFile``, for a file; another
            ``color_type`` may give another shape and dtype.

    Raises:
        InputError: see ``inference_segmentor``.
    """
    if isinstance(image, (str, Path)):
        return _read_file(Path(image), color_type, imdecode_backend)
    if not isinstance(image, np.ndarray):
        raise InputError(f'an image must be a path or a numpy array, but is {type(image).__name__}')
    if image.dtype != np.uint8:
        raise InputError(f'an image array must be uint8 (0 … 255), but is {image.dtype}')
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(f'an image array must be (H, W, 3) BGR or (H, W) grey, but is {image.shape}')
    return image


def _read_file(path: Path, color_type: str, backend: str) -> np.ndarray:
    if not path.is_file():
        raise UnreadableImageError(f'no image file {path}')
    try:
        array = mmcv.imfrombytes(path.read_bytes(), flag=color_type, backend=backend)
    except cv2.error:  # an empty file
        array = None
    except OSError as error:  # no permission, or Pillow does not know the format
        reason = error.strerror or 'it is damaged or not an image'
        raise UnreadableImageError(f'cannot read {path}: {reason}') from None
    if array is None:
        raise UnreadableImageError(f'cannot read {path}: it is damaged or not an image')
    return array
