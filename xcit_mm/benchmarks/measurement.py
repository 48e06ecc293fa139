"""Time, peak memory and multiply-adds of several callables, measured in turns."""
from __future__ import annotations

import timeit
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.benchmark import Measurement, TaskSpec, timer
from torch.utils.flop_counter import FlopCounterMode

Run = Callable[[], object]


def compare(contenders: Mapping[str, Run], rounds: int, device: torch.device) -> list[dict]:
    """Run every contender once per round, so that a slow minute of the machine is everybody's.

    Args:
        contenders: name -> what to run.
        rounds: timed runs of each, after one untimed.
        device: where the contenders run.

    Returns:
        For each contender ``contender``, ``median_s``, ``iqr_s`` (interquartile range), ``times_s``,
        ``peak_memory_bytes`` (on top of what was held before the run; null where it cannot be told) and
        ``saved_bytes`` (tensors kept for the backward pass, parameters apart; 0 in inference) and
        ``flops`` (two per multiply-add, matrix products and convolutions only).
    """
    results = {
        name: dict(contender=name, peak_memory_bytes=peak_memory(run, device),
                   saved_bytes=count_saved_bytes(run), flops=count_flops(run))
        for name, run in contenders.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    with Progress(transient=True) as progress:
        for index in progress.track(range(rounds), description=', '.join(contenders)):
            order = list(contenders) if index % 2 == 0 else list(reversed(contenders))
            for name in order:
                # torch's timer waits for the accelerator
                times[name].append(timeit.Timer(contenders[name], timer=timer).timeit(number=1))
    for name, result in results.items():
        statistics = Measurement(1, times[name], TaskSpec(stmt=name, setup=''))
        result.update(median_s=statistics.median, iqr_s=statistics.iqr, times_s=times[name])
    return list(results.values())


def count_flops(run: Run) -> int:
    """Floating-point operations of the matrix products and convolutions in one run."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def count_saved_bytes(run: Run) -> int:
    """Bytes of the tensors that one run keeps for its backward pass, parameters apart."""
    sizes: dict[int, int] = {}  # by address, for views share their storage

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor if tensor._base is None else tensor._base, nn.Parameter):
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(sizes.values())


def peak_memory(run: Run, device: torch.device) -> int | None:
    """Bytes held at the peak of one run, on top of what was held before it.

    On a GPU these are tensors. On a CPU it is the growth of the process, as Linux tells it; elsewhere
    there is no such figure, and the result is None.
    """
    if device.type == 'cuda':
        run()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    reset = Path('/proc/self/clear_refs')
    if not reset.exists():
        return None
    run()  # allocations that stay, such as a library's scratch space, are not the run's
    reset.write_text('5')  # the peak starts again from here: man 5 proc
    before = _process_memory('VmRSS')
    run()
    return max(_process_memory('VmHWM') - before, 0)


def _process_memory(field: str) -> int:
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024  # the file counts in kB
    raise KeyError(field)
