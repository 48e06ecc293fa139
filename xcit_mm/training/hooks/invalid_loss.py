"""Stop training when the loss is NaN or infinite."""
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
    """Hook that stops training when the loss is NaN or infinite on any rank, before a checkpoint is written.

    ``invalid_loss_iter_<N>.txt`` in the work directory lists the images and masks of the batch. In distributed
    training, each rank with an invalid loss writes such a file and adds its rank to the name.
    """

    priority = 'HIGH'  # runs before the hooks that write checkpoints

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Raise ``InputError`` if the loss is invalid on any rank, because its gradients reach the weights on all."""
        loss = outputs['loss'].item()
        if not on_any_rank(not math.isfinite(loss)):
            return
        losses = [float(other) for other in all_gather(torch.tensor(loss, device=get_device()))]
        ranks = [rank for rank, other in enumerate(losses) if not math.isfinite(other)]
        if get_rank() in ranks:
            files = [sample.get(key) for sample in data_batch['data_samples'] for key in ('img_path', 'seg_map_path')]
            with complete_file(_file_list(runner, get_rank())) as file:
                file.write_text(''.join(f'{name}\n' for name in files if name))
        barrier()  # a launcher kills all ranks as soon as the first one exits
        raise InputError(
            f'cannot continue: the loss of iteration {runner.iter + 1} is {losses[ranks[0]]}; check the images and '
            f'masks listed in {_file_list(runner, ranks[0])}, lower the learning rate, or clip gradients with '
            'optim_wrapper.clip_grad')


def _file_list(runner: Runner, rank: int) -> Path:
    suffix = f'_rank_{rank}' if runner.distributed else ''
    return Path(runner.work_dir, f'invalid_loss_iter_{runner.iter + 1}{suffix}.txt')
