"""Stop at a label that the model has no class for."""
from __future__ import annotations

import re

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..errors import InputError

HEADS = r'(decode_head|auxiliary_head|roi_head\.(bbox|mask)_head)(\.\d+)?'


@HOOKS.register_module()
class LabelRangeHook(Hook):
    """Name the file of a label out of range, of which a loss on a GPU says no more than that an assertion failed.

    ``decode_head.num_classes`` and ``ignore_index`` are the range; a model without a ``decode_head`` is no segmentor.
    Heads with more classes or fewer than the data set are refused before the training begins.
    """

    def before_train(self, runner: Runner) -> None:
        """Raise ``InputError`` if a head and the data set differ in their number of classes."""
        classes = getattr(runner.train_dataloader.dataset, 'metainfo', {}).get('classes')
        for name, module in runner.model.named_modules():
            name = name.removeprefix('module.')
            if classes and re.fullmatch(HEADS, name) and getattr(module, 'num_classes', len(classes)) != len(classes):
                raise InputError(f'model.{name} has {module.num_classes} classes, but the data set has {len(classes)} '
                                 f'({", ".join(classes[:3])}, …): set num_classes={len(classes)} in every head')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        """Raise ``InputError`` if a label map of the batch holds a value out of range."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not hasattr(model, 'decode_head'):
            return
        number, ignored = model.decode_head.num_classes, model.decode_head.ignore_index
        for sample in data_batch['data_samples']:
            labels = sample.gt_sem_seg.data
            wrong = labels[((labels < 0) | (labels >= number)) & (labels != ignored)]
            if len(wrong):
                raise InputError(
                    f'{sample.get("seg_map_path")}: label {int(wrong[0])} is out of range; the model has {number} '
                    f'classes, 0 … {number - 1}, and ignores {ignored}. Set num_classes of the heads, or '
                    'reduce_zero_label of the data set if 0 stands for "no class"')
