"""Stop at a loss that is no number."""
from __future__ import annotations

import math
from pathlib import Path

from mmengine.dist import barrier, get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..errors import InputError
from ..files import complete_file
from .ranks import on_any_rank


@HOOKS.register_module()
class InvalidLossHook(Hook):
    """End a training whose loss is NaN or infinite on one GPU, before a checkpoint is written.

    ``invalid_loss_iter_<N>.txt`` in the work dir lists the images and masks of the batch. With several GPUs, each one
    whose loss is invalid writes such a file, with its rank in the name.
    """

    priority = 'HIGH'  # before what writes checkpoints

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Raise ``InputError`` if the loss is invalid on any rank: its gradients are in the weights of all."""
        loss = outputs['loss'].item()
        invalid = not math.isfinite(loss)
        if not on_any_rank(invalid):
            return
        rank = f'_rank_{get_rank()}' if runner.distributed else ''
        path = Path(runner.work_dir, f'invalid_loss_iter_{runner.iter + 1}{rank}.txt')
        if invalid:
            files = [sample.get(key) for sample in data_batch['data_samples'] for key in ('img_path', 'seg_map_path')]
            with complete_file(path) as file:
                file.write_text(''.join(f'{name}\n' for name in files if name))
        barrier()  # a launcher kills the others when the first one ends
        if not invalid:
            raise InputError(f'the loss of iteration {runner.iter + 1} is invalid on another GPU; see {path.parent}')
        raise InputError(
            f'the loss of iteration {runner.iter + 1} is {loss}; {path} lists the files of its batch. Look at '
            'images and labels, lower the learning rate, or clip gradients (optim_wrapper.clip_grad)')
