"""Decode image files, with identical pixels for inference, training and evaluation."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ...errors import UnreadableImageError
from .formats import find_format, require_size
from .picture import decode_picture
from .tiff import TiffFile, open_tiff, readable, require_description
from .tiff_pages import color_space, require_one_image, require_upright, stored_array


def decode(content: bytes, name: str, color_type: str = 'color', backend: str = 'cv2') -> np.ndarray:
    """Decode an image file: drop alpha without blending, divide 16-bit values by 256, and apply the EXIF orientation.

    Args:
        content: the file's bytes.
        name: the file's name, for errors.
        color_type: as in mmcv's ``LoadImageFromFile``: ``'color'`` for (H, W, 3) uint8, BGR; ``'grayscale'`` for (H, W)
            uint8; either of these followed by ``_ignore_orientation`` to ignore the EXIF orientation; ``'unchanged'``
            for the bands and dtype of the file, in BGR order.
        backend: as in ``LoadImageFromFile``: ``'tifffile'`` returns the bands of a TIFF file as stored, whatever their
            number and dtype; the other backends all return the same pixels.

    Raises:
        UnreadableImageError: the file is damaged or of an unsupported kind. Supported are PNG, JPEG, BMP and WebP with
            one frame, and TIFF with one upright 8-bit or 16-bit image in grey or RGB, possibly with a fourth band.
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
        require_description(file, Path(name))
        require_upright(page, name)
        require_size(page.imagelength, page.imagewidth, name)
        array = stored_array(page, name)
        if in_bgr and color_space(page) == 'RGB' and array.ndim == 3:
            array = array.copy()
            array[..., :3] = array[..., 2::-1]
        return array
