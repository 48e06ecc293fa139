"""Stop at a loss that is no number."""
from __future__ import annotations

import math
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.dist import all_gather, barrier, get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ...errors import InputError
from ...files import complete_file
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
        if not on_any_rank(not math.isfinite(loss)):
            return
        losses = [float(other) for other in all_gather(torch.tensor(loss, device=get_device()))]
        ranks = [rank for rank, other in enumerate(losses) if not math.isfinite(other)]
        if get_rank() in ranks:
            files = [sample.get(key) for sample in data_batch['data_samples'] for key in ('img_path', 'seg_map_path')]
            with complete_file(_list_of_files(runner, get_rank())) as file:
                file.write_text(''.join(f'{name}\n' for name in files if name))
        barrier()  # a launcher kills the others when the first one ends
        raise InputError(
            f'the loss of iteration {runner.iter + 1} is {losses[ranks[0]]}; {_list_of_files(runner, ranks[0])} lists '
            'the files of its batch. Look at images and labels, lower the learning rate, or clip gradients '
            '(optim_wrapper.clip_grad)')


def _list_of_files(runner: Runner, rank: int) -> Path:
    suffix = f'_rank_{rank}' if runner.distributed else ''
    return Path(runner.work_dir, f'invalid_loss_iter_{runner.iter + 1}{suffix}.txt')
