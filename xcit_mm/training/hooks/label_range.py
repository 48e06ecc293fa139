"""Stop at any label that the model has no class for."""
from __future__ import annotations

import re

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from ...classes import num_classes
from ...errors import InputError

# Head names in mmseg and mmdet; a cascade has one head per stage.
HEADS = r'((decode|auxiliary|bbox|mask)_head|roi_head\.(bbox|mask)_head)(\.\d+)?'


@HOOKS.register_module()
class LabelRangeHook(Hook):
    """Hook that names the file with an out-of-range label; on a GPU, the loss would report only a failed assertion.

    The ``decode_head`` (in a cascade, its last stage) defines the range; a model without a ``decode_head`` is not a
    segmentor and is not checked. Training does not start if a head and the data set disagree on the number of classes.
    """

    def before_train(self, runner: Runner) -> None:
        """Raise ``InputError`` if a head and the data set have different numbers of classes."""
        classes = getattr(runner.train_dataloader.dataset, 'metainfo', {}).get('classes') or ()
        for name, head in _unwrapped(runner).named_modules():
            # A head with a boundary threshold learns edges (derived from the mask) instead of classes.
            if not re.fullmatch(HEADS, name) or hasattr(head, 'boundary_threshold') or getattr(
                    head, 'class_agnostic', False):
                continue
            number = num_classes(head)
            if classes and number and number != len(classes):
                names = ', '.join(classes[:3]) + (', …' if len(classes) > 3 else '')
                fix = (f'set num_classes={len(classes)} in every head' if len(classes) > 1 or number > 2 else
                       'give the data set two classes, with the background first')
                raise InputError(f'cannot train model.{name}: it has {number} classes, but the data set has '
                                 f'{len(classes)} ({names}); {fix}')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        """Raise ``InputError`` if a label map in the batch contains an out-of-range value."""
        head = getattr(_unwrapped(runner), 'decode_head', None)
        if head is None:
            return
        head = head[-1] if isinstance(head, nn.ModuleList) else head
        number, ignored = num_classes(head), head.ignore_index
        for sample in data_batch['data_samples']:
            if 'gt_sem_seg' not in sample:  # a test image without a mask
                continue
            labels = sample.gt_sem_seg.data
            wrong = labels[((labels < 0) | (labels >= number)) & (labels != ignored)]
            if len(wrong):
                raise InputError(
                    f'cannot use {sample.get("seg_map_path")}: label {int(wrong[0])} is out of range, because the '
                    f'model has {number} classes (0 to {number - 1}) and ignores {ignored}; set num_classes in every '
                    'head, or reduce_zero_label in the data set if 0 means "no class"')

    before_val_iter = before_test_iter = before_train_iter  # evaluators would silently ignore such a label


def _unwrapped(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
