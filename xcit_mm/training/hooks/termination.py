"""Save a checkpoint when the machine is reclaimed."""
from __future__ import annotations

import signal
import threading
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, barrier, is_distributed, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ...files import complete_file
from .ranks import INTERVAL, SharedFlags, is_check, shared_flags


@HOOKS.register_module()
class TerminationHook(Hook):
    """Hook that reacts to SIGTERM: it finishes the iteration, saves ``iter_<N>.pth`` and exits with code 143.

    With several processes, it finishes up to ten iterations, so that they need not communicate in every iteration.

    Schedulers and torchrun send SIGTERM before they kill a process. ``--resume`` continues from the saved checkpoint:
    an interrupted epoch starts over, and an interrupted validation run is discarded. Python delivers signals to the
    main thread only, so the hook does nothing in any other thread.
    """

    priority = 'LOWEST'  # runs after everything else in the iteration
    training = False
    flags: SharedFlags
    iterations = 0  # number completed when the final checkpoint is saved; 0 until then
    common = 0  # validation iterations that every rank has

    def before_train(self, runner: Runner) -> None:
        """Start catching the signal; the runner restores the previous handler when training ends."""
        self.training = True
        self.flags = shared_flags(runner)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """If any rank has received the signal, save and exit after the same iteration on all ranks."""
        if not is_distributed() or is_check(runner, batch_idx):
            self._end_if_terminated(runner, runner.iter + 1, runner.iter)

    def before_val_epoch(self, runner: Runner) -> None:
        """Agree on the iterations in which ranks can exchange flags, because shards may differ in size across ranks."""
        if self.training and is_distributed():
            iterations = torch.tensor(len(runner.val_dataloader), device=get_device())
            all_reduce(iterations, 'min')
            self.common = int(iterations)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                       outputs: object = None) -> None:
        """After a signal, save and exit during validation, which may outlast a scheduler's grace period."""
        if self.training and (not is_distributed() or (batch_idx < self.common and (batch_idx + 1) % INTERVAL == 0)):
            self._end_if_terminated(runner, runner.iter, (runner.iter, batch_idx))

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """After a signal, save and exit once validation ends, in case it was not interrupted."""
        if self.training:
            self._end_if_terminated(runner, runner.iter, (runner.iter, 'end'))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Correct the iteration count, because MMEngine always stores one more than the runner has counted."""
        if self.iterations:
            checkpoint['meta']['iter'] = self.iterations

    def _end_if_terminated(self, runner: Runner, iterations: int, moment: object) -> None:
        if not self.flags.on_any_rank('terminated', moment):
            return
        path = Path(runner.work_dir, f'iter_{iterations}.pth')
        self.iterations = iterations
        runner.save_checkpoint(runner.work_dir, path.name, by_epoch=False)
        if is_main_process():
            with complete_file(path.with_name('last_checkpoint')) as file:
                file.write_text(str(path))
        barrier()  # a launcher kills all ranks as soon as the first one exits
        runner.logger.warning(f'terminated: saved {path}; continue with --resume')
        raise SystemExit(128 + signal.SIGTERM)

    def _note(self, number: int, frame: object) -> None:
        self.flags.set('terminated')
