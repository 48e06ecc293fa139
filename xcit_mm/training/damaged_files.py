"""What to do with an image or a mask that cannot be read: refuse it, or skip and count it."""
from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform, LoadAnnotations, LoadImageFromFile
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ..errors import InputError

ACTIONS = ('refuse', 'skip')
READERS = (LoadImageFromFile, LoadAnnotations)


class GuardedLoading(BaseTransform):
    """A transform that reads files, which names the file that it cannot read.

    Args:
        loading: the transform.
        skip: give None for such a file, for which the data set takes another one, and count it; otherwise
            raise ``InputError``.
        skipped: (1,) int64 in shared memory: how often a file was skipped, in all worker processes.
        way_out: what else can be done about a file, for the error.
    """

    def __init__(self, loading: BaseTransform, skip: bool, skipped: Tensor, way_out: str) -> None:
        self.loading, self.skip, self.skipped, self.way_out = loading, skip, skipped, way_out

    def __repr__(self) -> str:
        return repr(self.loading)

    def transform(self, results: dict) -> dict | None:
        try:
            loaded = self.loading(results)
        except (ImportError, MemoryError):  # a decoder that is not there
            raise
        except Exception as error:  # each decoder has its own
            if getattr(error, 'errno', None) in (errno.EMFILE, errno.ENFILE):  # too many files are open
                raise
            path = results.get('img_path')
            if isinstance(self.loading, LoadAnnotations):
                path = results.get('seg_map_path') or f'the annotations of {path}'
            said = next(iter(str(error).splitlines()), '')
            reason = getattr(error, 'strerror', None) or (
                f'it is damaged or not an image ({type(error).__name__}: {said})')
            if not self.skip:
                raise InputError(f'cannot read {path}: {reason}; mend or remove it{self.way_out}') from error
            self.skipped += 1
            print_log(f'skipped {path}: {reason}; files were skipped {int(self.skipped)} times so far', 'current',
                      logging.WARNING)
            return None
        if loaded and 'gt_seg_map' in loaded:
            _require_fitting(loaded)
            _require_bytes(loaded)
        return loaded


def _require_fitting(loaded: dict) -> None:
    """Refuse a mask in colours, or of another size than its image, which resizing would hide."""
    mask, path = loaded['gt_seg_map'], loaded.get('seg_map_path')
    if mask.ndim != 2:
        raise InputError(f'{path} has {mask.shape[2]} channels, but a mask has one, of class indices: convert colours')
    if mask.shape != tuple(loaded['ori_shape']):
        sizes = [f'{width} x {height}' for height, width in (mask.shape, loaded['ori_shape'])]
        raise InputError(f'{path} is {sizes[0]}, but its image {loaded.get("img_path")} is {sizes[1]}')


def _require_bytes(loaded: dict) -> None:
    """Refuse a mask with labels beyond 255, of which mmseg keeps the lowest byte: another class."""
    path = loaded.get('seg_map_path')
    if path is None or not Path(path).is_file():  # in a remote storage
        return
    with suppress(UnidentifiedImageError), Image.open(path) as mask:
        largest = np.asarray(mask).max() if mask.mode[0] in 'IF' else 0  # more than 8 bits
        if largest > 255:
            raise InputError(f'{path}: label {largest} is out of range; a mask holds class indices of 0 … 255')


def guard(dataset: object, action: str = 'refuse', may_skip: bool = False) -> None:
    """Guard the loading of every data set in a (nested) data set.

    Args:
        dataset: of a data loader whose workers have not started yet.
        action: one of ``ACTIONS``.
        may_skip: an evaluation may not: it would count another image twice.

    Raises:
        InputError: an unknown action, or one that may not be.
    """
    if action not in ACTIONS:
        raise InputError(f'damaged_files must be one of {", ".join(ACTIONS)}, but is {action!r}')
    if action == 'skip' and not may_skip:
        raise InputError('damaged_files=skip is for training: an evaluation would count another image twice')
    skipped = torch.zeros(1, dtype=torch.int64).share_memory_()
    way_out = ', or go on without such files: train_dataloader.damaged_files=skip' if may_skip else ''
    for part in _parts(dataset):
        steps = part.pipeline.transforms
        part.pipeline.transforms = [
            GuardedLoading(step, action == 'skip', skipped, way_out) if isinstance(step, READERS) else step
            for step in steps]


def _parts(dataset: object) -> Iterator[BaseDataset]:
    if isinstance(dataset, BaseDataset):
        yield dataset
        return
    wrapped = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for part in wrapped:
        if part is not None:
            yield from _parts(part)
