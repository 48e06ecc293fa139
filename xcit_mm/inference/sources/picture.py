"""Decode PNG, JPEG, BMP and WebP files, and convert PIL images."""
from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import BmpImagePlugin, ExifTags, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from ...errors import UnreadableImageError
from .formats import DAMAGED, require_size

# Image.open would reject images larger than Pillow's own limit.
PLUGINS: dict[str, Any] = dict(PNG=PngImagePlugin.PngImageFile, JPEG=JpegImagePlugin.JpegImageFile,
                               BMP=BmpImagePlugin.BmpImageFile, WEBP=WebPImagePlugin.WebPImageFile)
SIXTEEN_BITS = ('I;16', 'I;16B', 'I;16L', 'I;16N')
MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', *SIXTEEN_BITS)
TURNED = range(2, 9)  # EXIF orientations other than upright


def decode_picture(content: bytes, kind: str, name: str, color_type: str) -> np.ndarray:
    """Decode a file.

    Args:
        content: the file's bytes.
        kind: a key of ``PLUGINS``.
        name: the file's name, for errors.
        color_type: see ``decode``.

    Raises:
        UnreadableImageError: the file is damaged, incomplete, animated or too large, or its pixel type is unsupported.
    """
    try:
        image = PLUGINS[kind](BytesIO(content))
        require_size(image.height, image.width, name)
        _require_one_frame(image, name)
        if kind == 'JPEG' and color_type.startswith('grayscale'):
            image.draft('L', image.size)  # the luma that the file stores
        image.load()
    except (MemoryError, UnreadableImageError):
        raise
    except Exception as error:  # Pillow raises many types of exceptions
        if 'MAX_TEXT' in str(error):
            raise UnreadableImageError(f'cannot read {name}: its metadata exceed a limit of Pillow; remove them, or '
                                       'raise PIL.PngImagePlugin.MAX_TEXT_CHUNK') from None
        raise UnreadableImageError(f'cannot read {name}: {DAMAGED} ({_first_line(error)})') from None
    if color_type == 'unchanged':
        array = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if array is None:
            raise UnreadableImageError(f'cannot read {name}: {DAMAGED}')
        return array
    array = to_bgr(image, name)
    return array if 'ignore_orientation' in color_type else turn(array, orientation_of(image))


def to_bgr(image: Image.Image, name: str) -> np.ndarray:
    """Return the pixels of a loaded image as stored: (H, W, 3) uint8, BGR, without alpha.

    Raises:
        UnreadableImageError: the image's mode is not in ``MODES``.
    """
    if image.mode == 'I' and image.format == 'PNG':  # 16 bits in Pillow before version 11
        gray = (np.asarray(image) >> 8).astype(np.uint8)
    elif image.mode in SIXTEEN_BITS:
        gray = to_8_bits(np.asarray(image))
    elif image.mode in ('LA', 'PA', 'L', '1'):
        gray = np.asarray(image.convert('L') if image.mode == '1' else image.getchannel(0))
    elif image.mode in MODES:
        return cv2.cvtColor(np.asarray(image if image.mode == 'RGB' else image.convert('RGB')), cv2.COLOR_RGB2BGR)
    else:
        raise UnreadableImageError(f"cannot read {name}: its pixels have Pillow's mode {image.mode}; "
                                   "convert it to mode RGB")
    return np.repeat(gray[..., None], 3, axis=2)


def to_8_bits(array: np.ndarray) -> np.ndarray:
    """Divide 16-bit values by 256, rounding down; return 8-bit values unchanged."""
    return array if array.dtype == np.uint8 else (array >> 8).astype(np.uint8)


def orientation_of(image: Image.Image) -> int:
    """Return an image's EXIF orientation (1 … 8), or 1 if it has no valid one."""
    try:
        # Without EXIF data, Pillow would take the orientation from XMP data, which other decoders and viewers ignore.
        has_exif = image.format == 'TIFF' or {'exif', 'Raw profile type exif'} & set(image.info)
        found = (image.getexif() if has_exif else {}).get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata, which viewers ignore, too
        return 1
    return found if found in TURNED else 1


def require_upright_picture(path: Path, kind: str) -> None:
    """Reject an image file that has several frames, or is stored rotated or mirrored.

    Args:
        path: the file.
        kind: its format, from ``find_format``.

    Raises:
        UnreadableImageError: see above.
    """
    try:
        image = PLUGINS[kind](path)
    except Exception as error:  # Pillow raises many types of exceptions
        raise UnreadableImageError(f'cannot read {path}: {DAMAGED} ({_first_line(error)})') from None
    with image:
        _require_one_frame(image, str(path))
        if (turned := orientation_of(image)) in TURNED:
            raise UnreadableImageError(f'cannot read chosen bands of {path}: it is stored rotated or mirrored '
                                       f'(orientation {turned}); store it upright, e.g. with mogrify -auto-orient')


def turn(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels (H, W, ...) upright according to the EXIF orientation (1 … 8)."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _require_one_frame(image: Image.Image, name: str) -> None:
    frames = getattr(image, 'n_frames', 1)
    if frames > 1:
        raise UnreadableImageError(f'cannot read {name}: it is animated ({frames} frames); '
                                   'save each frame as an image')


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
