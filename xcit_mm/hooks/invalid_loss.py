"""Stop at a loss that is no number."""
from __future__ import annotations

import math
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..errors import InputError
from ..files import complete_file


@HOOKS.register_module()
class InvalidLossHook(Hook):
    """End a training whose loss is NaN or infinite, before a checkpoint is written.

    ``invalid_loss_iter_<N>.txt`` in the work dir, with the rank in its name on several GPUs, lists the batch's files.
    """

    priority = 'HIGH'  # before what writes checkpoints

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Raise ``InputError`` if the loss is invalid."""
        loss = outputs['loss'].item()
        if math.isfinite(loss):
            return
        rank = f'_rank_{get_rank()}' if runner.distributed else ''
        path = Path(runner.work_dir, f'invalid_loss_iter_{runner.iter + 1}{rank}.txt')
        with complete_file(path) as file:
            file.write_text(''.join(f'{sample.get("img_path")}\n' for sample in data_batch['data_samples']))
        raise InputError(
            f'the loss of iteration {runner.iter + 1} is {loss}; {path} lists the images of its batch. '
            'Look at them and at their labels, lower the learning rate, or clip gradients (optim_wrapper.clip_grad)')
