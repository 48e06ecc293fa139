"""Keep the workers of a data loader alive while their parent process saves a checkpoint."""
from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import partial

from torch.utils.data import DataLoader


def shield_workers(loader: DataLoader) -> None:
    """Make a loader's workers ignore SIGTERM unless their own parent sends it.

    Launchers send SIGTERM to every process in a job, but the parent needs its workers to finish the iteration.
    """
    if hasattr(signal, 'sigwaitinfo'):  # missing on macOS and Windows
        loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)


def _start_worker(start: Callable[[int], None] | None, worker_id: int) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    if start:
        start(worker_id)


def _exit_with_parent() -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)  # torch treats any other exit code as a failed worker
