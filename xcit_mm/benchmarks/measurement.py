"""Time, peak memory and multiply-adds of several callables, measured in turns."""
from __future__ import annotations

import json
import math
import tempfile
import timeit
from collections.abc import Callable, Mapping
from itertools import accumulate
from operator import itemgetter
from pathlib import Path

import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile
from torch.utils.benchmark import Measurement, TaskSpec, timer
from torch.utils.flop_counter import FlopCounterMode

Run = Callable[[], object]


def compare(contenders: Mapping[str, Run], rounds: int, device: torch.device) -> list[dict]:
    """Run every contender once per round, so that a slow minute of the machine is everybody's.

    Args:
        contenders: name -> what to run.
        rounds: timed runs of each, after the untimed ones that count.
        device: where the contenders run.

    Returns:
        For each contender ``contender``, ``median_s``, ``iqr_s`` (interquartile range), ``times_s``,
        ``flops`` (two per multiply-add, matrix products and convolutions only), ``saved_bytes`` (tensors
        kept for the backward pass, parameters apart; 0 in inference) and ``peak_memory_bytes`` (tensors,
        on top of what was held before the run).
    """
    results = {
        # The first run of all allocates what stays: memory is looked at last.
        name: dict(contender=name, flops=count_flops(run), saved_bytes=count_saved_bytes(run),
                   peak_memory_bytes=peak_memory(run, device))
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
    # The counter leaves the in-place product out: (B, N, C) @ (B, C, C).
    in_place = {torch.ops.aten.baddbmm_: lambda _, a, b, **__: 2 * math.prod(a) * b[-1]}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
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


def peak_memory(run: Run, device: torch.device) -> int:
    """Bytes of tensors at the peak of one run, on top of what was held before it."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, 'trace.json')
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())['traceEvents']
    changes = [event for event in events if event.get('name') == '[memory]']
    held = accumulate(event['args']['Bytes'] for event in sorted(changes, key=itemgetter('ts')))
    return max(held, default=0)
