"""Image file formats, identified by their first bytes."""
from __future__ import annotations

import os

from ...errors import UnreadableImageError

DAMAGED = 'it is damaged or not an image'
FORMATS = {b'\x89PNG\r\n\x1a\n': 'PNG', b'\xff\xd8\xff': 'JPEG', b'BM': 'BMP', b'II*\0': 'TIFF', b'MM\0*': 'TIFF',
           b'II+\0': 'TIFF', b'MM\0+': 'TIFF'}
# Other files that may have the suffix of an image, and what to do about them
CONVERT = 'convert it to PNG, JPEG or TIFF'
OTHERS = {
    b'\0\x05\x16\x07': 'it holds metadata of macOS, not an image; delete it',
    b'version https://git-lfs': 'it is a pointer of Git LFS, not an image; run git lfs pull',
    b'GIF8': f'its format is GIF; {CONVERT}',
    b'\0\0\0\x0cjP  ': f'its format is JPEG 2000; {CONVERT}',
    b'\xff\x4f\xff\x51': f'its format is JPEG 2000; {CONVERT}',
    b'\x76\x2f\x31\x01': f'its format is OpenEXR; {CONVERT}',
    b'%PDF': f'its format is PDF; {CONVERT}',
    b'8BPS': f'its format is PSD; {CONVERT}',
    **{b'P%d' % number + space: f'its format is PNM; {CONVERT}' for number in range(1, 8) for space in (b'\n', b' ')}}
LIMIT = 'OPENCV_IO_MAX_IMAGE_PIXELS'  # read by OpenCV, too


def find_format(head: bytes, name: str) -> str:
    """Return ``'PNG'``, ``'JPEG'``, ``'BMP'``, ``'WEBP'`` or ``'TIFF'``.

    Args:
        head: the first 32 bytes of the file, or more.
        name: the file's name, for the error.

    Raises:
        UnreadableImageError: the file has another format; the message says which, if it is a common one.
    """
    if head[:4] == b'RIFF' and head[8:12] == b'WEBP':
        return 'WEBP'
    if head[4:8] == b'ftyp':
        raise UnreadableImageError(f'cannot read {name}: its format is HEIF, AVIF or a video; {CONVERT}')
    for magic, reason in OTHERS.items():
        if head.startswith(magic):
            raise UnreadableImageError(f'cannot read {name}: {reason}')
    for magic, kind in FORMATS.items():
        if head.startswith(magic):
            return kind
    raise UnreadableImageError(f'cannot read {name}: {DAMAGED}')


def require_size(height: int, width: int, name: str) -> None:
    """Reject an image that is too large to decode in full.

    Raises:
        UnreadableImageError: the image has more pixels than the environment variable ``OPENCV_IO_MAX_IMAGE_PIXELS``
            allows (default: 2**30).
    """
    text = os.environ.get(LIMIT, '')
    limit = int(text) if text.isdecimal() else 1 << 30
    if height * width > limit:
        raise UnreadableImageError(
            f'cannot read {name}: it has {width} x {height} pixels, more than the limit of {limit}; set the '
            f'environment variable {LIMIT}={height * width}, or cut the image into parts')
