"""Images given as arrays or PIL images."""
from __future__ import annotations

import cv2
import numpy as np
from PIL.Image import Image as PillowImage

from ...errors import InputError
from .picture import orientation_of, to_8_bits, to_bgr, turn


def to_color_type(image: np.ndarray | PillowImage, color_type: str = 'color', backend: str = 'cv2') -> np.ndarray:
    """Return the pixels of an image, just as ``decode`` would for a file with the same pixels.

    Args:
        image: see ``inference_segmentor``.
        color_type, backend: see ``decode``. If they would keep a file's bands and dtype, they keep an array's, too.

    Raises:
        InputError: see ``inference_segmentor``.
    """
    keeps_bands = color_type == 'unchanged' or backend == 'tifffile'
    if isinstance(image, PillowImage):
        array = _from_pillow(image, 'ignore_orientation' in color_type)
    elif not isinstance(image, np.ndarray):
        raise InputError(f'an image must be a path, a numpy array or a PIL image, but got {type(image).__name__}')
    elif not image.size or image.ndim not in (2, 3):
        raise InputError(f'an image array must be (H, W, 3) BGR or (H, W) grey, but got {image.shape}')
    elif keeps_bands:
        return image
    else:
        array = _to_bgr(image)
    return cv2.cvtColor(array, cv2.COLOR_BGR2GRAY) if color_type.startswith('grayscale') else array


def _from_pillow(image: PillowImage, ignore_orientation: bool) -> np.ndarray:
    try:
        image.load()  # for a TIFF file, this also applies the orientation tag
    except OSError as error:
        raise InputError(f'cannot read the PIL image: {error}') from None
    array = to_bgr(image, 'the PIL image')
    return array if ignore_orientation else turn(array, orientation_of(image))


def _to_bgr(array: np.ndarray) -> np.ndarray:
    if array.dtype not in (np.uint8, np.uint16):
        raise InputError(f'an image array must be uint8 (0 … 255) or uint16 (0 … 65535), but got {array.dtype}')
    array = to_8_bits(array)
    bands = array[..., None] if array.ndim == 2 else array
    if bands.shape[2] not in (1, 3, 4):
        raise InputError('an image array must be (H, W, 3) BGR, (H, W, 4) BGRA, or (H, W) or (H, W, 1) grey, but got '
                         f'{array.shape}')
    return np.repeat(bands, 3, axis=2) if bands.shape[2] == 1 else bands[..., :3]
