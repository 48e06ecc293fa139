"""Reject unreadable images and masks, or skip and count them."""
from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Mapping

import mmengine.fileio as fileio
import numpy as np
import torch
from mmcv.transforms import BaseTransform, LoadAnnotations, LoadImageFromFile
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from PIL import Image
from torch import Tensor
from torch.utils.data import get_worker_info

from ..errors import InputError, UnreadableImageError
from ..inference.resizing import keep_a_pixel
from ..inference.sources import decode
from ..inference.sources.formats import DAMAGED, LIMIT
from .masks import require_bytes, require_listed_size, require_plain, require_shape
from .rasters import LoadRasterWindow

ACTIONS = ('refuse', 'skip')
LOADERS = (LoadImageFromFile, LoadAnnotations, LoadRasterWindow)


class GuardedLoading(BaseTransform):
    """Wrapper that names any file that its loading transform cannot read.

    Args:
        loading: the transform.
        skip: return None for such a file, so that the data set picks another one, and count it; otherwise raise
            ``InputError``.
        skipped: (1 + workers,) int64 in shared memory; counts the skips of the main process and of each worker, each
            in a separate element, because concurrent additions to one element could be lost.
        advice: another way to deal with such a file; appended to the error message.
    """

    def __init__(self, loading: BaseTransform, skip: bool, skipped: Tensor, advice: str) -> None:
        self.loading, self.skip, self.skipped, self.advice = loading, skip, skipped, advice

    def __repr__(self) -> str:
        return repr(self.loading)

    def _load(self, results: dict) -> dict | None:
        if type(self.loading) is not LoadImageFromFile:  # a subclass, or annotations
            return self.loading(results)
        return load_image(self.loading, results)

    def transform(self, results: dict) -> dict | None:
        try:
            loaded = self._load(results)
        except (ImportError, MemoryError):  # ImportError: a decoder is not installed
            raise
        except Exception as error:  # each decoder raises its own exception types
            if isinstance(error, InputError) and not isinstance(error, UnreadableImageError):
                raise  # a package is missing
            if getattr(error, 'errno', None) in (errno.EMFILE, errno.ENFILE):  # too many open files
                raise
            path = results.get('img_path')
            if isinstance(self.loading, LoadAnnotations):
                path = results.get('seg_map_path') or f'the annotations of {path}'
            first_line = next(iter(str(error).splitlines()), '')
            if isinstance(error, KeyError) or (isinstance(error, AssertionError) and isinstance(
                    self.loading, LoadAnnotations)):  # the settings or the annotations are wrong, not the file
                raise InputError(f'cannot load {path}: {type(self.loading).__name__} fails ({type(error).__name__}: '
                                 f'{first_line}); compare its settings with the data set') from error
            reason = _reason(error, str(path))
            if not self.skip:
                says_how = isinstance(error, UnreadableImageError) and DAMAGED not in reason
                repair = '' if says_how else '; repair or remove it'
                raise InputError(f'cannot read {path}: {reason}{repair}{self.advice}') from error
            worker = get_worker_info()
            self.skipped[worker.id + 1 if worker else 0] += 1
            print_log(f'skipped {path}: {reason}; skips so far: {int(self.skipped.sum())}', 'current', logging.WARNING)
            return None
        if loaded and 'gt_seg_map' in loaded and not isinstance(self.loading, LoadRasterWindow):
            require_plain(loaded)
            require_shape(loaded)
            require_bytes(loaded)
        if loaded and 'ori_shape' in loaded and isinstance(self.loading, LoadImageFromFile):
            require_listed_size(loaded)
        return loaded


def load_image(loading: LoadImageFromFile, results: dict) -> dict | None:
    """Load an image according to the ``LoadImageFromFile`` settings, but with the decoder that inference uses."""
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
    """Return the reason a file cannot be read, on one line and without the path."""
    text = next(iter(str(error).splitlines()), '')
    if isinstance(error, UnreadableImageError):
        return text.removeprefix(f'cannot read {path}: ')
    if isinstance(error, Image.DecompressionBombError):
        return f"it is larger than Pillow allows ({text}); set LoadAnnotations(imdecode_backend='cv2')"
    if 'IO_MAX_IMAGE' in str(error):
        return f'it is larger than OpenCV allows; raise the environment variable {LIMIT}'
    return getattr(error, 'strerror', None) or f'{DAMAGED} ({type(error).__name__}: {text})'


def guard(dataset: object, action: str = 'refuse', may_skip: bool = False, workers: int = 0) -> None:
    """Guard the loading transforms of every data set in a (nested) data set, including those inside other transforms.

    Args:
        dataset: the data set of a data loader whose workers have not started yet.
        action: one of ``ACTIONS``.
        may_skip: False for an evaluation, because a replacement image would count twice.
        workers: number of worker processes of the data loader.

    Raises:
        InputError: the action is unknown or not allowed.
    """
    if action not in ACTIONS:
        raise InputError(f'cannot use damaged_files={action!r}: no such action; choose {" or ".join(ACTIONS)}')
    if action == 'skip' and not may_skip:
        raise InputError('cannot use damaged_files=skip in an evaluation: a replacement for the skipped image would '
                         'count twice; use it in train_dataloader only')
    skipped = torch.zeros(1 + workers, dtype=torch.int64).share_memory_()
    advice = ', or skip such files with train_dataloader.damaged_files=skip' if may_skip else ''

    def guarded(step: object) -> object:
        return GuardedLoading(step, action == 'skip', skipped, advice) if isinstance(step, LOADERS) else step

    for part in parts(dataset):
        for steps in _lists(part.pipeline.transforms):
            for step in steps:
                keep_a_pixel(step)
            steps[:] = map(guarded, steps)


def require_masks(dataset: object, maskless: Mapping[str, object]) -> None:
    """For data sets that load object masks, check that the annotation files contain masks.

    Args:
        dataset: see ``guard``.
        maskless: from ``matched_by_name``.

    Raises:
        InputError: a mask is missing.
    """
    for part in parts(dataset):
        steps = [step for steps in _lists(part.pipeline.transforms) for step in steps]
        if part.ann_file in maskless and any(getattr(step, 'with_mask', False) for step in steps):
            raise InputError(f'cannot load masks from {part.ann_file}: annotation {maskless[part.ann_file]} has '
                             'no usable segmentation; complete the file, or train a detector without masks')


def parts(dataset: object) -> Iterator[BaseDataset]:
    """Yield the data sets inside wrappers such as ConcatDataset."""
    if isinstance(dataset, BaseDataset):
        yield dataset
        return
    wrapped = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for part in wrapped:
        if part is not None:
            yield from parts(part)


def _lists(steps: object) -> Iterator[list]:
    """Yield every list of transforms, including those inside wrapping transforms such as RandomChoice."""
    if isinstance(steps, list):
        yield steps
        for step in steps:
            inner = step if isinstance(step, list) else getattr(step, 'transforms', None)
            yield from _lists(getattr(inner, 'transforms', inner))  # a Compose
