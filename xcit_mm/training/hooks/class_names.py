"""Compare the class names of data sets, annotation files and checkpoints."""
from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ...checkpoints import get_dataset_meta
from ...classes import difference
from ...errors import InputError
from ..metrics import check_categories


@HOOKS.register_module()
class ClassNamesHook(Hook):
    """Hook that stops a run if two class lists give an index different names; equal lengths are not enough.

    Fine-tuning may rename classes: ``load_from`` only warns, unless the checkpoint has the same names in a different
    order.
    """

    checkpoint: Sequence[str] = ()  # classes of the loaded checkpoint

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the checkpoint's classes, since the data sets may not exist yet."""
        self.checkpoint = get_dataset_meta(checkpoint).get('classes') or ()
        self._compare_with_checkpoint(runner)

    def before_train(self, runner: Runner) -> None:
        """Raise ``InputError`` if training and validation have different classes."""
        self._compare_with_checkpoint(runner)
        if runner.val_loop is None:
            return
        classes = _classes(runner.train_dataloader.dataset)
        why = difference(classes, _classes(runner.val_dataloader.dataset))
        if why:
            raise InputError(f'cannot validate: the training and validation data differ in their classes: {why}; set '
                             'the same metainfo.classes in both data loaders')
        _check_evaluator(runner.val_evaluator, classes)

    def before_val(self, runner: Runner) -> None:
        """Raise ``InputError`` if a metric's annotation file has different classes."""
        _check_evaluator(runner.val_evaluator, _classes(runner.val_dataloader.dataset))

    def before_test(self, runner: Runner) -> None:
        """Raise ``InputError`` if a metric's annotation file or the checkpoint has different classes."""
        self._compare_with_checkpoint(runner)
        _check_evaluator(runner.test_evaluator, _classes(runner.test_dataloader.dataset))

    def _compare_with_checkpoint(self, runner: Runner) -> None:
        for loop, setting in _built_loops(runner):
            classes = _classes(loop.dataloader.dataset)
            why = difference(self.checkpoint, classes)
            if not why:
                continue
            message = f'the checkpoint and {setting} differ in their classes: {why}'
            fine_tunes = setting == 'train_dataloader' and not runner._resume
            if fine_tunes and sorted(self.checkpoint) != sorted(classes):
                print_log(f'{message}; the head starts from weights for other classes', 'current', logging.WARNING)
                return
            raise InputError(f'cannot use the checkpoint: {message}; set metainfo.classes to the names of the '
                             'checkpoint, in its order')


def _built_loops(runner: Runner) -> Iterator[tuple]:
    """Yield the loop that defines this run's classes: the training loop, or else the test or validation loop."""
    for name in ('train', 'test', 'val'):
        loop = getattr(runner, f'_{name}_loop', None)
        if hasattr(loop, 'dataloader'):  # built
            yield loop, f'{name}_dataloader'
            return


def _check_evaluator(evaluator: Evaluator, classes: Sequence[str]) -> None:
    for metric in evaluator.metrics:
        check_categories(metric, classes)


def _classes(dataset: object) -> Sequence[str]:
    return getattr(dataset, 'metainfo', {}).get('classes') or ()
