"""Save a checkpoint when the machine is asked back."""
from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ...files import complete_file
from .ranks import on_any_rank


@HOOKS.register_module()
class TerminationHook(Hook):
    """At SIGTERM, end the iteration, save ``iter_<N>.pth`` and exit with code 143; ``--resume`` goes on from there.

    Schedulers and torchrun send this signal before they kill. An epoch that was cut is begun again, and a validation
    that was cut is left out. Signals reach the main thread only: elsewhere this does nothing.
    """

    priority = 'LOWEST'  # after all that belongs to the iteration
    terminated = training = False
    iterations = 0  # of the checkpoint that is saved at the end

    def before_train(self, runner: Runner) -> None:
        """Catch the signal from now on; the runner gives it back when the training ends."""
        self.training = True
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Save and exit, on every rank in the same iteration, if one has got the signal."""
        self._end_if_terminated(runner, runner.iter + 1)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                       outputs: object = None) -> None:
        """Save and exit in a validation, which may take longer than a scheduler waits."""
        if self.training:
            self._end_if_terminated(runner, runner.iter)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the number of iterations right, which MMEngine takes for one more than the runner counts."""
        if self.iterations:
            checkpoint['meta']['iter'] = self.iterations

    def _end_if_terminated(self, runner: Runner, iterations: int) -> None:
        if not on_any_rank(self.terminated):
            return
        path = Path(runner.work_dir, f'iter_{iterations}.pth')
        self.iterations = iterations
        runner.save_checkpoint(runner.work_dir, path.name, by_epoch=False)
        if is_main_process():
            with complete_file(path.with_name('last_checkpoint')) as file:
                file.write_text(str(path))
        barrier()  # a launcher kills the others when the first one ends
        runner.logger.warning(f'terminated: saved {path}; --resume goes on from there')
        raise SystemExit(128 + signal.SIGTERM)

    def _note(self, number: int, frame: object) -> None:
        self.terminated = True


def spare_workers(loader: DataLoader) -> None:
    """Let the workers of a loader live through the signal, unless it is from the process that they read for.

    Launchers send it to every process of a job, and without its workers this one could not end the iteration.
    """
    if hasattr(signal, 'sigwaitinfo'):  # not on macOS and Windows
        loader.worker_init_fn = partial(_begin_worker, loader.worker_init_fn)


def _begin_worker(begin: Callable[[int], None] | None, worker_id: int) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=_obey_parent, daemon=True).start()
    if begin:
        begin(worker_id)


def _obey_parent() -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)  # as torch's own workers do: it takes another code for a failure
