"""Share files and the machine among the processes that torchrun starts."""
from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from ..errors import InputError
from ..inference.memory import available_bytes

POLL = 0.2  # seconds between two checks of whether the other processes have finished


class Ranks:
    """The processes of one job. They communicate through a key-value store, here one that only this process can reach.

    There is no process group, whose timeouts would end a job with one long file.

    Attributes:
        rank: number of this process, from 0. Rank 0 shows the progress, waits for the others and reports.
        size: number of processes.
        restarted: whether torchrun has restarted the processes because one of them died.
    """

    def __init__(self, store: distributed.Store | None = None, rank: int = 0, size: int = 1, attempt: int = 0,
                 place: tuple[int, int] = (0, 1)) -> None:
        """Join a job.

        Args:
            store: where all its processes meet. Default: one of this process's own.
            rank, size: see above.
            attempt: how often torchrun has restarted the processes.
            place: number of this process on its machine, from 0, and the number of processes there.
        """
        self.rank, self.size, self.restarted = rank, size, attempt > 0
        self.local_rank, self.local_size = place
        self.store = distributed.PrefixStore(f'xcit_mm/{attempt}', store or distributed.HashStore())

    def claim(self, path: Path) -> bool:
        """Return whether a file is this process's to process, which is true in only one of the processes.

        Free processes claim the next file, because nobody knows beforehand how long a file takes.
        """
        return self.store.add(f'claimed/{path}', 1) == 1

    def count_done(self, number: int = 0) -> int:
        """Add to the number of files that all processes have dealt with, and return it."""
        return self.store.add('done', number)

    def gather(self, value: Any, wait: Callable[[], None]) -> list[Any]:
        """Return the values of all processes on rank 0, once all have called this, and only its own on other ranks.

        Args:
            value: can be written as JSON.
            wait: called again and again while rank 0 waits.
        """
        self.store.set(f'value/{self.rank}', json.dumps(value))
        if self.rank > 0:
            return [value]
        keys = [f'value/{rank}' for rank in range(self.size)]
        while not self.store.check(keys):
            wait()
            time.sleep(POLL)
        return [json.loads(self.store.get(key)) for key in keys]

    def choose_device(self, device: str) -> str:
        """Return this process's own GPU if ``device`` is ``'cuda'``, and limit it to its share of the CPU threads.

        Raises:
            InputError: the machine has fewer GPUs than processes.
        """
        if self.local_size == 1:
            return device
        cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
        torch.set_num_threads(max(cores // self.local_size, 1))  # torchrun sets 1, whatever the number of cores
        if device != 'cuda':
            return device
        if self.local_size > torch.cuda.device_count():
            raise InputError(f'cannot run {self.local_size} processes on {torch.cuda.device_count()} GPU(s); lower '
                             '--nproc-per-node, or choose the device with --device')
        torch.cuda.set_device(self.local_rank)
        return f'cuda:{self.local_rank}'

    def memory_limit(self, device: str) -> int | None:
        """Return this process's share of the free main memory, in bytes, or None if it has the device to itself."""
        shares = self.local_size > 1 and not device.startswith('cuda')
        return available_bytes(torch.device(device)) // self.local_size if shares else None


def join_ranks() -> Ranks:
    """Join the processes that torchrun started. Without torchrun, this process is alone."""
    if not distributed.is_torchelastic_launched():
        return Ranks()
    store, rank, size = next(distributed.rendezvous('env://'))
    attempt, *place = (int(os.environ[name]) for name in ('TORCHELASTIC_RESTART_COUNT', 'LOCAL_RANK',
                                                          'LOCAL_WORLD_SIZE'))
    return Ranks(store, rank, size, attempt, (place[0], place[1]))
