"""Measure the time, peak memory and floating-point operations of callables that take turns."""
from __future__ import annotations

import json
import math
import tempfile
import timeit
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Opaque:
    """A run whose operations and memory torch does not see, because another runtime or compiled code does the work."""
    run: Run

    def __call__(self) -> object:
        return self.run()


SHORTEST_SAMPLE_S = 0.02


def compare(contenders: Mapping[str, Run], rounds: int, device: torch.device) -> list[dict]:
    """Run every contender once per round, so that a temporary slowdown of the machine affects them all.

    The order rotates from round to round. A contender that takes less than ``SHORTEST_SAMPLE_S`` runs several times in
    a row when its turn comes.

    Args:
        contenders: callables by name.
        rounds: timed turns per contender, after some untimed runs.
        device: where the contenders run.

    Returns:
        One dict for each contender, with the keys ``contender`` (its name); ``times_s`` (seconds per run),
        ``median_s`` and ``iqr_s`` (interquartile range); ``ratio`` and ``ratio_iqr`` (of its times to those of the
        first contender in the same round); ``flops`` (two per multiply-add, matrix products and convolutions only);
        ``saved_bytes`` (tensors kept for the backward pass, except parameters; 0 in inference); and
        ``peak_memory_bytes`` (tensors beyond those that exist before the run). The last three are 0 for ``Opaque``.
    """
    results = {name: dict(contender=name) | _costs(run, device) for name, run in contenders.items()}
    numbers = {name: max(1, math.ceil(SHORTEST_SAMPLE_S / _time(run))) for name, run in contenders.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    with Progress(transient=True) as progress:
        for index in progress.track(range(rounds), description=', '.join(contenders)):
            for name in in_turn(contenders, index):
                times[name].append(_time(contenders[name], numbers[name]))
    baseline = next(iter(times.values()))
    return [result | summarise(times[name], baseline) for name, result in results.items()]


def _costs(run: Run, device: torch.device) -> dict[str, int]:
    if isinstance(run, Opaque):
        run()  # some runtimes compile at the first run
        return dict(flops=0, saved_bytes=0, peak_memory_bytes=0)
    # The first run allocates persistent buffers, so peak memory is measured last.
    return dict(flops=count_flops(run), saved_bytes=count_saved_bytes(run), peak_memory_bytes=peak_memory(run, device))


def in_turn(names: Iterable[str], index: int) -> list[str]:
    """Return the order of a round; the first name in one round is the last in the next."""
    names = list(names)
    start = index % len(names)
    return names[start:] + names[:start]


def summarise(times: list[float], baseline: list[float]) -> dict:
    """Return the median and interquartile range of times (s), and of their ratios to a baseline in the same round."""
    ratios = [time / first for time, first in zip(times, baseline)]
    of_times, of_ratios = (Measurement(1, values, TaskSpec('', '')) for values in (times, ratios))
    return dict(median_s=of_times.median, iqr_s=of_times.iqr, times_s=times, ratio=of_ratios.median,
                ratio_iqr=of_ratios.iqr)


def _time(run: Run, number: int = 1) -> float:
    """Return seconds per run; torch's timer waits for the accelerator."""
    return timeit.Timer(run, timer=timer).timeit(number) / number


def count_flops(run: Run) -> int:
    """Count the floating-point operations that one run spends on matrix products and convolutions."""
    # torch's counter omits the in-place product (B, N, C) @ (B, C, C).
    in_place = {torch.ops.aten.baddbmm_: lambda _, a, b, **__: 2 * math.prod(a) * b[-1]}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        run()
    return counter.get_total_flops()


def count_saved_bytes(run: Run) -> int:
    """Count the bytes in the tensors that one run keeps for its backward pass, excluding parameters."""
    sizes: dict[int, int] = {}  # by address, because views share their storage

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor if tensor._base is None else tensor._base, nn.Parameter):
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(sizes.values())


def peak_memory(run: Run, device: torch.device) -> int:
    """Return the peak size, in bytes, of the tensors in one run, not counting those that existed before it."""
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
