"""Image files that are decoded as a whole, and arrays."""
from __future__ import annotations

from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, MissingImageError, UnreadableImageError
from .source import SOURCES, Source

Image = str | Path | np.ndarray


@SOURCES.register_module()
class ImageFile(Source):
    """A file that mmcv decodes; the decoded image is in memory while the source is open."""

    suffixes = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')

    def __init__(self, path: Path) -> None:
        self.content = torch.from_numpy(read_image(path))
        super().__init__(path, *self.content.shape[:2])

    def compute(self, start: int, stop: int) -> Tensor:
        return self.content[start:stop]


def read_image(image: Image, color_type: str = 'color', imdecode_backend: str = 'cv2') -> np.ndarray:
    """Read an image file, or check an array: (H, W, 3) uint8, BGR.

    Args:
        image: see ``inference_segmentor``.
        color_type, imdecode_backend: for a file, arguments of mmcv's ``LoadImageFromFile``; some color types change
            the shape and dtype.

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
        raise MissingImageError(f'no image file {path}')
    try:
        array = mmcv.imfrombytes(path.read_bytes(), flag=color_type, backend=backend)
    except cv2.error:  # an empty file
        array = None
    except OSError as error:  # no permission, or a format that Pillow does not support
        reason = error.strerror or 'it is damaged or not an image'
        raise UnreadableImageError(f'cannot read {path}: {reason}') from None
    if array is None:
        raise UnreadableImageError(f'cannot read {path}: it is damaged or not an image')
    return array
