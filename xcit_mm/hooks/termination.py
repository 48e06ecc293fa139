"""Save a checkpoint when the machine is asked back."""
from __future__ import annotations

import signal
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..files import complete_file


@HOOKS.register_module()
class TerminationHook(Hook):
    """At SIGTERM, end the iteration, save ``iter_<N>.pth`` and exit with code 143; ``--resume`` goes on from there.

    Schedulers and torchrun send this signal before they kill. An epoch that was cut is begun again.
    """

    priority = 'LOWEST'  # after all that belongs to the iteration

    def before_train(self, runner: Runner) -> None:
        """Catch the signal from now on."""
        self.terminated = False
        self.previous = signal.signal(signal.SIGTERM, self._note)

    def after_train(self, runner: Runner) -> None:
        """Leave the signal to whom it belonged."""
        signal.signal(signal.SIGTERM, self.previous)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Save and exit, on every rank in the same iteration, if one has got the signal."""
        terminated = self.terminated
        if runner.distributed:
            flag = torch.tensor(int(terminated), device=get_device())
            all_reduce(flag, 'max')
            terminated = bool(flag)
        if not terminated:
            return
        name = f'iter_{runner.iter + 1}.pth'
        runner.save_checkpoint(runner.work_dir, name, by_epoch=False)
        path = Path(runner.work_dir, name)
        if is_main_process():
            with complete_file(path.with_name('last_checkpoint')) as file:
                file.write_text(str(path))
        runner.logger.warning(f'terminated: saved {path}; --resume goes on from there')
        self.after_train(runner)
        raise SystemExit(128 + signal.SIGTERM)

    def _note(self, number: int, frame: object) -> None:
        self.terminated = True
