"""What to do with an image or a mask that cannot be read: refuse it, or skip and count it."""
from __future__ import annotations

import logging
from collections.abc import Iterator
from multiprocessing import Value
from multiprocessing.sharedctypes import Synchronized

from mmcv.transforms import BaseTransform, LoadAnnotations, LoadImageFromFile
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from ..errors import InputError

ACTIONS = ('refuse', 'skip')
READERS = (LoadImageFromFile, LoadAnnotations)


class GuardedLoading(BaseTransform):
    """A transform that reads files, which names the file that it cannot read.

    Args:
        loading: the transform.
        skip: give None for such a file, for which the data set takes another one, and count it; otherwise
            raise ``InputError``.
        skipped: how many there were, in all worker processes.
    """

    def __init__(self, loading: BaseTransform, skip: bool, skipped: Synchronized) -> None:
        self.loading, self.skip, self.skipped = loading, skip, skipped

    def transform(self, results: dict) -> dict | None:
        try:
            return self.loading(results)
        except Exception as error:  # each decoder has its own
            path = (results.get('seg_map_path') if isinstance(self.loading, LoadAnnotations) else None
                    ) or results.get('img_path')
            reason = getattr(error, 'strerror', None) or 'it is damaged or not an image'
            if not self.skip:
                raise InputError(f'cannot read {path}: {reason}; mend or remove it, or go on without such files: '
                                 'train_dataloader.damaged_files=skip') from error
            with self.skipped.get_lock():
                self.skipped.value += 1
            print_log(f'skipped {path}: {reason} ({self.skipped.value} skipped so far)', 'current', logging.WARNING)
            return None


def guard(dataset: object, action: str = 'refuse') -> None:
    """Guard the loading of every data set in a (nested) data set.

    Args:
        dataset: of a data loader whose workers have not started yet.
        action: one of ``ACTIONS``.

    Raises:
        InputError: an unknown action.
    """
    if action not in ACTIONS:
        raise InputError(f'damaged_files must be one of {", ".join(ACTIONS)}, but is {action!r}')
    skipped = Value('l')
    for part in _parts(dataset):
        steps = part.pipeline.transforms
        part.pipeline.transforms = [
            GuardedLoading(step, action == 'skip', skipped) if isinstance(step, READERS) else step for step in steps]


def _parts(dataset: object) -> Iterator[BaseDataset]:
    if isinstance(dataset, BaseDataset):
        yield dataset
        return
    wrapped = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for part in wrapped:
        if part is not None:
            yield from _parts(part)
