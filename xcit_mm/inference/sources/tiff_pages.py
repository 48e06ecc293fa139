"""The supported kinds of TIFF pages."""
from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UnreadableImageError

if TYPE_CHECKING:
    import tifffile

KINDS = dict(u='unsigned integers', i='signed integers', f='floats', c='complex numbers')
REDUCED, MASK = 1, 4  # bits of tag 254: an overview or a mask of another page
ALPHA = (1, 2)  # values of tag 338: associated and unassociated
NONE, JPEG = 1, (6, 7)  # values of tag 259
LARGEST_PIECE = 1 << 30  # values in a strip or tile
HINT = ("convert it to 8 or 16 bits of grey or RGB, or have the config read it as stored, with "
        "LoadImageFromFile(imdecode_backend='tifffile')")


def require_one_image(file: tifffile.TiffFile, name: str) -> None:
    """Reject a file with multiple images or slices; overviews and masks of the first image do not count.

    Raises:
        UnreadableImageError: see above; also if the image has no pixels, or a strip or tile is missing or too large.
    """
    first = file.pages.first
    more: Iterator[Any] = islice(file.pages, 1, None)
    slices = max(math.prod(file.series[0].shape) // max(math.prod(first.shape), 1), first.imagedepth)
    if slices > 1 or any(not page.subfiletype & (REDUCED | MASK) for page in more):
        raise UnreadableImageError(f'cannot read {name}: it holds several images or slices; save each in a file')
    if min(first.imagelength, first.imagewidth) < 1:
        raise UnreadableImageError(f'cannot read {name}: it is damaged, because it has no pixels')
    size = math.prod(first.shape) * first.bitspersample // 8
    if first.compression == NONE and sum(first.databytecounts) < size:
        raise UnreadableImageError(f'cannot read {name}: it is damaged, because it holds fewer bytes than pixels')
    if math.prod(first.chunks) > LARGEST_PIECE:
        raise UnreadableImageError(f'cannot read {name}: one of its strips or tiles has {math.prod(first.chunks)} '
                                   'values; save it in tiles')
    if min(len(first.dataoffsets), len(first.databytecounts)) < math.prod(first.chunked):
        raise UnreadableImageError(f'cannot read {name}: it is damaged, because it lacks strips or tiles')


def require_grey_or_rgb(page: tifffile.TiffPage, name: str) -> None:
    """Reject a page that is not 8-bit or 16-bit grey or RGB.

    Grey pages may have an alpha channel; with four bands, the first three count as RGB, whatever the fourth contains.

    Raises:
        UnreadableImageError: the page contains something else.
    """
    colors, bands, bits = color_space(page), page.samplesperpixel, page.bitspersample
    kind = page.dtype.kind if page.dtype else ''
    reason = ''
    if kind != 'u' or bits not in (8, 16):
        reason = f'it holds {bits} bits, {KINDS.get(kind, "of an unknown type")}'
    elif colors in ('MINISWHITE', 'MINISBLACK') and bands <= 2:
        if bands == 2 and page.extrasamples[:1] not in [(value, ) for value in ALPHA]:
            reason = 'it holds 2 bands, the second of which is not alpha'
    elif colors == 'YCBCR':
        if int(page.compression) not in JPEG or bands != 3 or bits != 8:  # JPEG decodes to RGB
            reason = f'it holds {bands} bands of YCBCR that are not a JPEG'
    elif colors not in ('RGB', 'MINISBLACK'):
        reason = f'it holds {bands} bands of {colors}'
    elif bands not in (3, 4):
        reason = f'it holds {bands} bands'
    if reason:
        raise UnreadableImageError(f'cannot read {name}: {reason}; {HINT}')


def require_upright(page: tifffile.TiffPage, name: str) -> None:
    """Reject a page that is stored rotated or mirrored.

    Raises:
        UnreadableImageError: see above.
    """
    tag = page.tags.get('Orientation')
    if tag is not None and tag.value in range(2, 9):
        raise UnreadableImageError(f'cannot read {name}: it is stored rotated or mirrored (orientation {tag.value}); '
                                   'store it upright')


def color_space(page: tifffile.TiffPage) -> str:
    """Return the name of the colour space, or its number if tifffile has no name for it."""
    return getattr(page.photometric, 'name', str(page.photometric))


def stored_array(page: tifffile.TiffPage, name: str) -> np.ndarray:
    """Return a page's bands as stored: (H, W) or (H, W, bands), in the page's own dtype."""
    array = page.asarray()
    if page.dtype is None or array.ndim not in (2, 3):
        raise UnreadableImageError(f'cannot read {name}: its pixels have an unknown type')
    return np.moveaxis(array, 0, 2) if array.ndim == 3 and page.planarconfig == 2 else array
