"""Stop at a label that the model has no class for."""
from __future__ import annotations

import re

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from ...classes import num_classes
from ...errors import InputError

# Of mmseg and mmdet; a cascade has one for each stage.
HEADS = r'((decode|auxiliary|bbox|mask)_head|roi_head\.(bbox|mask)_head)(\.\d+)?'


@HOOKS.register_module()
class LabelRangeHook(Hook):
    """Name the file of a label out of range, of which a loss on a GPU says no more than that an assertion failed.

    The range is that of the ``decode_head``, the last one of a cascade; a model without one is no segmentor. Heads
    with more classes or fewer than the data set are refused before the training begins.
    """

    def before_train(self, runner: Runner) -> None:
        """Raise ``InputError`` if a head and the data set differ in their number of classes."""
        classes = getattr(runner.train_dataloader.dataset, 'metainfo', {}).get('classes') or ()
        for name, head in _unwrapped(runner).named_modules():
            # A head with a threshold for boundaries learns from edges, which it finds itself.
            if not re.fullmatch(HEADS, name) or hasattr(head, 'boundary_threshold') or getattr(
                    head, 'class_agnostic', False):
                continue
            number = num_classes(head)
            if classes and number and number != len(classes):
                names = ', '.join(classes[:3]) + (', …' if len(classes) > 3 else '')
                way_out = (f'set num_classes={len(classes)} in every head' if len(classes) > 1 or number > 2 else
                           'give the data set two, the background first')
                raise InputError(f'model.{name} has {number} classes, but the data set has {len(classes)} ({names}): '
                                 f'{way_out}')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        """Raise ``InputError`` if a label map of the batch holds a value out of range."""
        head = getattr(_unwrapped(runner), 'decode_head', None)
        if head is None:
            return
        head = head[-1] if isinstance(head, nn.ModuleList) else head
        number, ignored = num_classes(head), head.ignore_index
        for sample in data_batch['data_samples']:
            if 'gt_sem_seg' not in sample:  # an image to test without a mask
                continue
            labels = sample.gt_sem_seg.data
            wrong = labels[((labels < 0) | (labels >= number)) & (labels != ignored)]
            if len(wrong):
                raise InputError(
                    f'{sample.get("seg_map_path")}: label {int(wrong[0])} is out of range; the model has {number} '
                    f'classes, 0 … {number - 1}, and ignores {ignored}. Set num_classes of the heads, or '
                    'reduce_zero_label of the data set if 0 stands for "no class"')

    before_val_iter = before_test_iter = before_train_iter  # where evaluators would count it as nothing


def _unwrapped(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
