"""Stop training when the loss is NaN or infinite."""
from __future__ import annotations

import math
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.dist import all_gather, barrier, get_rank, is_distributed
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor

from ...errors import InputError
from ...files import complete_file
from .ranks import is_check, shared_flags


@HOOKS.register_module()
class InvalidLossHook(Hook):
    """Hook that stops training when the loss is NaN or infinite on any rank, before a checkpoint is written.

    ``invalid_loss_iter_<N>.txt`` in the work directory lists the images and masks in the batch. In distributed
    training, each rank with an invalid loss writes its own file, with its rank in the name.
    """

    priority = 'HIGH'  # runs before the hooks that write checkpoints

    def __init__(self) -> None:
        self._losses: list[Tensor] = []  # since the last check; reading each one immediately would stall a GPU
        self._files: list[list[str]] = []  # for each loss, the files in its batch

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Raise ``InputError`` if the loss became invalid on any rank, since its gradients reach all ranks' weights.

        A single CPU process checks every iteration; for all other cases, see ``ranks.is_check``.
        """
        self._losses.append(outputs['loss'].detach())
        samples = data_batch.get('data_samples') or () if isinstance(data_batch, dict) else ()
        self._files.append([str(sample.get(key)) for sample in samples
                            for key in ('img_path', 'seg_map_path') if sample.get(key)])
        if (is_distributed() or outputs['loss'].is_cuda) and not is_check(runner, batch_idx):
            return
        losses = torch.stack(self._losses).tolist()
        first = next((index for index, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
        flags = shared_flags(runner)
        if first < len(losses):
            flags.set('invalid_loss')
        if flags.on_any_rank('invalid_loss', runner.iter):
            self._stop(runner, losses, first)
        self._losses.clear()
        self._files.clear()

    def _stop(self, runner: Runner, losses: list[float], first: int) -> None:
        """On each rank whose loss was the first to be invalid, list that batch's files; then raise ``InputError``."""
        start = runner.iter + 2 - len(losses)  # number of the first iteration since the last check
        own = torch.tensor([float(first), losses[first] if first < len(losses) else 0.0], device=get_device())
        ranks = [other.tolist() for other in all_gather(own)]
        earliest = min(index for index, _ in ranks)
        rank = next(rank for rank, (index, _) in enumerate(ranks) if index == earliest)
        iteration = start + int(earliest)
        if first == earliest:
            with complete_file(_file_list(runner, iteration, get_rank())) as file:
                file.write_text(''.join(f'{name}\n' for name in self._files[first]))
        barrier()  # a launcher kills all ranks as soon as the first one exits
        raise InputError(
            f'cannot continue: the loss of iteration {iteration} is {ranks[rank][1]}; check the images and '
            f'masks listed in {_file_list(runner, iteration, rank)}, lower the learning rate, or clip gradients with '
            'optim_wrapper.clip_grad')


def _file_list(runner: Runner, iteration: int, rank: int) -> Path:
    suffix = f'_rank_{rank}' if runner.distributed else ''
    return Path(runner.work_dir, f'invalid_loss_iter_{iteration}{suffix}.txt')
