"""Reject masks that mmseg would load without an error, but not as they are stored."""
from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import InputError
from ..inference.sources.picture import orientation_of

PHOTOMETRIC, WHITE_IS_0 = 262, 0  # tag of a TIFF file and its value


def require_plain(loaded: dict) -> None:
    """Reject a mask whose labels a loader would change, or a file with several pages, of which it reads only the first.

    Loaders rotate pixels as an EXIF orientation says, and stretch 2-bit and 4-bit grey to 0 … 255. JPEG files do not
    keep the labels.
    """
    path = loaded.get('seg_map_path')
    if path is None or not Path(path).is_file():  # the file is in remote storage
        return
    with suppress(UnidentifiedImageError, Image.DecompressionBombError), Image.open(path) as mask:
        turned, frames = orientation_of(mask), getattr(mask, 'n_frames', 1)
        if mask.format == 'JPEG':
            raise InputError(f'cannot use {path} as a mask: it is a JPEG, whose compression changes labels; save it '
                             'as PNG')
        if bits := re.search('L;([24])', str(mask.tile)):
            raise InputError(f'cannot use {path} as a mask: its labels have {bits[1]} bits, which decoders stretch to '
                             '0 … 255; save it with 8 bits')
        if turned != 1:
            raise InputError(f'cannot use {path} as a mask: it is stored rotated or mirrored (orientation {turned}); '
                             'store it upright')
        if frames > 1:
            raise InputError(f'cannot use {path} as a mask: it holds {frames} images; save the one for the image alone')


def require_shape(loaded: dict) -> None:
    """Reject a mask that is in colour or differs in size from its image, because resizing would hide the mistake."""
    mask, path = loaded['gt_seg_map'], loaded.get('seg_map_path')
    if mask.ndim != 2:
        raise InputError(f'cannot use {path} as a mask: it has {mask.shape[2]} channels; '
                         'convert its colours to one channel of class indices')
    if mask.shape != tuple(loaded['ori_shape']):
        sizes = [f'{width} x {height}' for height, width in (mask.shape, loaded['ori_shape'])]
        raise InputError(f'cannot use {path} as a mask: it is {sizes[0]}, but its image {loaded.get("img_path")} is '
                         f'{sizes[1]}; make their sizes equal')


def require_listed_size(loaded: dict) -> None:
    """Reject an image whose size differs from the one that its annotation file lists, which places boxes and masks."""
    listed, stored = (loaded.get('height'), loaded.get('width')), tuple(loaded['ori_shape'])
    if None not in listed and listed != stored:
        sizes = [f'{width} x {height}' for height, width in (stored, listed)]
        raise InputError(f'cannot use {loaded.get("img_path")}: it is {sizes[0]}, but the annotation file says '
                         f'{sizes[1]}; correct the file, or store the image upright')


def require_bytes(loaded: dict) -> None:
    """Reject a mask whose labels mmseg would change: it keeps only the low byte, which stands for a different class."""
    path = loaded.get('seg_map_path')
    if path is None or not Path(path).is_file():  # the file is in remote storage
        return
    with suppress(UnidentifiedImageError, Image.DecompressionBombError), Image.open(path) as mask:
        if getattr(mask, 'tag_v2', {}).get(PHOTOMETRIC) == WHITE_IS_0:  # Pillow inverts it
            raise InputError(f'cannot use {path} as a mask: it is stored with 0 for white, which decoders invert; '
                             'store it with 0 for black')
        labels = np.asarray(mask) if mask.mode[0] in 'IF' else np.zeros(1)  # more than 8 bits
        wrong = labels[(labels < 0) | (labels > 255) | (labels % 1 != 0)]
        if len(wrong):
            raise InputError(f'cannot use {path} as a mask: label {wrong[0]} is out of range; '
                             'number the classes from 0 to 255')
