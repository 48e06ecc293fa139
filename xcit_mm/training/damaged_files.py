"""Refuse an image or a mask that cannot be read, or skip and count it."""
from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import mmengine.fileio as fileio
import numpy as np
import torch
from mmcv.transforms import BaseTransform, LoadAnnotations, LoadImageFromFile
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ..errors import InputError, UnreadableImageError
from ..inference.resizing import keep_a_pixel
from ..inference.sources import decode
from ..inference.sources.formats import DAMAGED, LIMIT
from ..inference.sources.picture import orientation_of

ACTIONS = ('refuse', 'skip')
LOADERS = (LoadImageFromFile, LoadAnnotations)


class GuardedLoading(BaseTransform):
    """Wrapper around a loading transform that names the file that the transform cannot read.

    Args:
        loading: the transform.
        skip: return None for such a file, so that the data set picks another one, and count it; otherwise raise
            ``InputError``.
        skipped: (1,) int64 in shared memory; counts the skips of all worker processes.
        advice: how else to deal with such a file; ends the error message.
    """

    def __init__(self, loading: BaseTransform, skip: bool, skipped: Tensor, advice: str) -> None:
        self.loading, self.skip, self.skipped, self.advice = loading, skip, skipped, advice

    def __repr__(self) -> str:
        return repr(self.loading)

    def _load(self, results: dict) -> dict | None:
        if type(self.loading) is not LoadImageFromFile:  # another way of reading, or annotations
            return self.loading(results)
        return load_image(self.loading, results)

    def transform(self, results: dict) -> dict | None:
        try:
            loaded = self._load(results)
        except (ImportError, MemoryError):  # ImportError: a decoder is not installed
            raise
        except Exception as error:  # every decoder raises exceptions of different types
            if isinstance(error, InputError) and not isinstance(error, UnreadableImageError):
                raise  # a package is missing
            if getattr(error, 'errno', None) in (errno.EMFILE, errno.ENFILE):  # too many open files
                raise
            path = results.get('img_path')
            if isinstance(self.loading, LoadAnnotations):
                path = results.get('seg_map_path') or f'the annotations of {path}'
            reason = _reason(error, str(path))
            if not self.skip:
                says_how = isinstance(error, UnreadableImageError) and DAMAGED not in reason
                repair = '' if says_how else '; repair or remove it'
                raise InputError(f'cannot read {path}: {reason}{repair}{self.advice}') from error
            self.skipped += 1
            print_log(f'skipped {path}: {reason}; skips so far: {int(self.skipped)}', 'current', logging.WARNING)
            return None
        if loaded and 'gt_seg_map' in loaded:
            _require_plain(loaded)
            _require_shape(loaded)
            _require_bytes(loaded)
        return loaded


def load_image(loading: LoadImageFromFile, results: dict) -> dict | None:
    """Load an image as a ``LoadImageFromFile`` is configured to, but with the decoder that inference uses."""
    path = results['img_path']
    try:
        if loading.file_client_args is not None:
            content = fileio.FileClient.infer_client(loading.file_client_args, path).get(path)
        else:
            content = fileio.get(path, backend_args=loading.backend_args)
        image = decode(content, str(path), loading.color_type, loading.imdecode_backend)
    except Exception:
        if loading.ignore_empty:
            return None
        raise
    results['img'] = image.astype(np.float32) if loading.to_float32 else image
    results['img_shape'] = results['ori_shape'] = image.shape[:2]
    return results


def _reason(error: Exception, path: str) -> str:
    """Return why a file cannot be read, in one line without the path."""
    text = next(iter(str(error).splitlines()), '')
    if isinstance(error, UnreadableImageError):
        return text.removeprefix(f'cannot read {path}: ')
    if isinstance(error, Image.DecompressionBombError):
        return f"it is larger than Pillow allows ({text}); set LoadAnnotations(imdecode_backend='cv2')"
    if 'IO_MAX_IMAGE' in str(error):
        return f'it is larger than OpenCV allows; raise the environment variable {LIMIT}'
    return getattr(error, 'strerror', None) or f'{DAMAGED} ({type(error).__name__}: {text})'


def _require_plain(loaded: dict) -> None:
    """Refuse a mask that a reader would turn, or of which it would read the first page only."""
    path = loaded.get('seg_map_path')
    if path is None or not Path(path).is_file():  # the file is in remote storage
        return
    with suppress(UnidentifiedImageError, Image.DecompressionBombError), Image.open(path) as mask:
        turned, frames = orientation_of(mask), getattr(mask, 'n_frames', 1)
        if turned != 1:
            raise InputError(f'cannot use {path} as a mask: it is stored rotated or mirrored (orientation {turned}); '
                             'store it upright')
        if frames > 1:
            raise InputError(f'cannot use {path} as a mask: it holds {frames} images; save the one for the image alone')


def _require_shape(loaded: dict) -> None:
    """Refuse a mask that is in colour or differs in size from its image, because resizing would hide the mistake."""
    mask, path = loaded['gt_seg_map'], loaded.get('seg_map_path')
    if mask.ndim != 2:
        raise InputError(f'cannot use {path} as a mask: it has {mask.shape[2]} channels; '
                         'convert its colours to one channel of class indices')
    if mask.shape != tuple(loaded['ori_shape']):
        sizes = [f'{width} x {height}' for height, width in (mask.shape, loaded['ori_shape'])]
        raise InputError(f'cannot use {path} as a mask: it is {sizes[0]}, but its image {loaded.get("img_path")} is '
                         f'{sizes[1]}; make their sizes equal')


def _require_bytes(loaded: dict) -> None:
    """Refuse a mask with labels above 255: mmseg keeps only the lowest byte, which stands for another class."""
    path = loaded.get('seg_map_path')
    if path is None or not Path(path).is_file():  # the file is in remote storage
        return
    with suppress(UnidentifiedImageError, Image.DecompressionBombError), Image.open(path) as mask:
        largest = np.asarray(mask).max() if mask.mode[0] in 'IF' else 0  # more than 8 bits
        if largest > 255:
            raise InputError(f'cannot use {path} as a mask: label {largest} is out of range; '
                             'number the classes from 0 to 255')


def guard(dataset: object, action: str = 'refuse', may_skip: bool = False) -> None:
    """Guard the loading of every data set in a (nested) data set.

    Args:
        dataset: the data set of a data loader whose workers have not started yet.
        action: one of ``ACTIONS``.
        may_skip: False for an evaluation, which would count a replacement image twice.

    Raises:
        InputError: the action is unknown or not allowed.
    """
    if action not in ACTIONS:
        raise InputError(f'cannot use damaged_files={action!r}: no such action; choose {" or ".join(ACTIONS)}')
    if action == 'skip' and not may_skip:
        raise InputError('cannot use damaged_files=skip in an evaluation: a replacement for the skipped image would '
                         'count twice; use it in train_dataloader only')
    skipped = torch.zeros(1, dtype=torch.int64).share_memory_()
    advice = ', or skip such files with train_dataloader.damaged_files=skip' if may_skip else ''
    for part in _parts(dataset):
        steps = part.pipeline.transforms
        for step in steps:
            keep_a_pixel(step)
        part.pipeline.transforms = [
            GuardedLoading(step, action == 'skip', skipped, advice) if isinstance(step, LOADERS) else step
            for step in steps]


def _parts(dataset: object) -> Iterator[BaseDataset]:
    if isinstance(dataset, BaseDataset):
        yield dataset
        return
    wrapped = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for part in wrapped:
        if part is not None:
            yield from _parts(part)
