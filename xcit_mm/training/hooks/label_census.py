"""Inspect a sample of the masks before training."""
from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import numpy as np
from mmcv.transforms import LoadAnnotations
from mmengine.dataset import BaseDataset
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ...classes import list_names
from ...errors import InputError
from ..damaged_files import GuardedLoading, parts

MASKS, SECONDS = 500, 10.0  # limits of the sample
BULK = 0.01  # smallest share of ignored pixels to mention when a class is absent


@HOOKS.register_module()
class LabelCensusHook(Hook):
    """Hook that counts the labels in up to 500 masks, for up to 10 seconds, before training.

    It warns about classes that appear in none of them, and rejects masks that contain nothing but one class and ignored
    pixels (255), such as two-class masks with the values 0 and 255, because every score would be perfect.
    """

    def before_train(self, runner: Runner) -> None:
        """Raise ``InputError`` if the masks contain only a single class and ignored pixels."""
        dataset = runner.train_dataloader.dataset
        classes = getattr(dataset, 'metainfo', {}).get('classes') or ()
        if not classes or not is_main_process():
            return
        counts, seen, total = _count(dataset)
        if not seen:
            return
        absent = [name for index, name in enumerate(classes) if not counts[index]]
        ignored = counts[255] / counts.sum()
        sample = f'{seen} of {total} training masks' if seen < total else f'all {total} training masks'
        bulk = f'; {ignored:.0%} of the pixels are ignored (255)' if ignored >= BULK else ''
        # A few polygons in large rasters may all lie outside the sample.
        is_sparse = seen < total and any(getattr(part, 'labels_are_sparse', False) for part in parts(dataset))
        if len(classes) > 1 and len(absent) >= len(classes) - 1 and bulk and not is_sparse:
            raise InputError(f'cannot learn from {sample}: {list_names(absent)} occurs in none{bulk}; number the '
                             f'classes 0 to {len(classes) - 1}, and compare reduce_zero_label with the masks')
        if absent:
            print_log(f'{list_names(absent)} occurs in none of {sample}{bulk}; if these classes should occur, compare '
                      'classes and reduce_zero_label with the masks', 'current', logging.WARNING)


def _count(dataset: object) -> tuple[np.ndarray, int, int]:
    """Return the pixel count of each label (256,), the number of masks counted, and the total number of masks."""
    counts, seen, end = np.zeros(256, np.int64), 0, time.monotonic() + SECONDS
    sources = [(part, load) for part in parts(dataset) for load in _mask_loaders(part)]
    total = sum(len(part) for part, _ in sources)
    for part, load in sources:
        share = max(1, MASKS * len(part) // max(total, 1))
        for index in np.linspace(0, len(part) - 1, min(share, len(part))).astype(int):
            if time.monotonic() > end:
                return counts, seen, total
            try:
                mask = load(part.get_data_info(int(index)))['gt_seg_map']
            except Exception:  # training reports damaged files
                continue
            counts += np.bincount(mask.ravel(), minlength=256)[:256]
            seen += 1
    return counts, seen, total


def _mask_loaders(part: BaseDataset) -> Iterator[LoadAnnotations]:
    """Yield the transform that loads the class masks, if any."""
    steps = [step.loading if isinstance(step, GuardedLoading) else step for step in part.pipeline.transforms]
    yield from [step for step in steps if getattr(step, 'with_seg', False)][:1]
