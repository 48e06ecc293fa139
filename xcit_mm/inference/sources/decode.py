"""Decode image files, with identical pixels for inference, training and evaluation."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ...errors import UnreadableImageError
from .formats import find_format, require_size
from .picture import decode_picture
from .tiff import TiffFile, open_tiff, readable
from .tiff_pages import color_space, require_one_image, require_upright, stored_array


def decode(content: bytes, name: str, color_type: str = 'color', backend: str = 'cv2') -> np.ndarray:
    """Decode an image file. Drop alpha, keep bands as stored, divide 16-bit values by 256, and apply EXIF orientation.

    Args:
        content: of the file.
        name: of the file, for errors.
        color_type: of mmcv's ``LoadImageFromFile``: ``'color'`` (H, W, 3) uint8, BGR; ``'grayscale'`` (H, W) uint8;
            both with ``_ignore_orientation``, which does not turn the image; ``'unchanged'``: the bands and dtype of
            the file, in the order BGR.
        backend: of ``LoadImageFromFile``: ``'tifffile'`` gives the bands of a TIFF file as stored, whatever their
            number and dtype; all others give the same pixels.

    Raises:
        UnreadableImageError: the file is damaged, or is not of a kind that is understood: PNG, JPEG, BMP or WebP with
            one frame; TIFF with one upright image of 8 or 16 bits of grey or RGB, possibly with a fourth band.
    """
    kind = find_format(content[:32], name)
    if kind != 'TIFF':
        if backend == 'tifffile':
            raise UnreadableImageError(f"cannot read {name}: its format is {kind}, but imdecode_backend='tifffile' "
                                       'reads TIFF files only; leave it out')
        array = decode_picture(content, kind, name, color_type)
    elif color_type == 'unchanged' or backend == 'tifffile':
        return _stored_bands(content, name, in_bgr=backend != 'tifffile')
    else:
        with TiffFile(Path(name), content, 'ignore_orientation' in color_type) as source:
            require_size(source.height, source.width, name)
            array = source.reader().read_all().numpy()
    if color_type.startswith('grayscale'):
        return cv2.cvtColor(array, cv2.COLOR_BGR2GRAY)
    return array


def _stored_bands(content: bytes, name: str, in_bgr: bool) -> np.ndarray:
    with open_tiff(Path(name), content) as file, readable(Path(name)):
        page = file.pages.first
        require_one_image(file, name)
        require_upright(page, name)
        require_size(page.imagelength, page.imagewidth, name)
        array = stored_array(page, name)
        if in_bgr and color_space(page) == 'RGB' and array.ndim == 3:
            array = array.copy()
            array[..., :3] = array[..., 2::-1]
        return array
