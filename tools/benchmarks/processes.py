"""Measure the time and memory of whole processes, each of which segments one image."""
from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from rich.progress import track

from benchmarks.measurement import in_turn, summarise
from xcit_mm.errors import InputError

NO_MEMORY = ("can't allocate memory", 'MemoryError', 'bad_alloc', 'not enough memory')


def compare_ways(config: Path, ways: Sequence[str], width: int, height: int, rounds: int, limit: int) -> list[dict]:
    """Run each way of segmenting once per round, in an order that rotates from round to round.

    Args:
        config: a UPerNet with at most 256 classes.
        ways: names from ``one_image.WAYS``; the first one is the baseline and must not fail.
        width, height: size of the image, px.
        rounds: number of processes for each way.
        limit: bytes that a process may allocate.

    Returns:
        One dict for each way, with the keys ``contender`` (its name); ``times_s`` (seconds from array to label map),
        ``median_s`` and ``iqr_s``; ``ratio`` and ``ratio_iqr`` (of its times to the baseline's in the same round);
        ``peak_memory_bytes`` (the median, over the processes, of their peak resident memory); and ``labels_differ``
        (the number of pixels whose label differs from the baseline's). For a way that runs out of memory, ``failed``
        replaces these figures.

    Raises:
        InputError: the baseline runs out of memory, or a way fails for another reason.
    """
    results: dict[str, dict] = {way: dict(contender=way, times_s=[], peaks=[]) for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        for index in track(range(rounds), description=f'{width} x {height}', transient=True):
            for way in in_turn(ways, index):
                result = results[way]
                if 'failed' not in result:
                    _run(result, config, width, height, limit, Path(folder, f'{way}.npy'))
        first = Path(folder, f'{ways[0]}.npy')
        for way, result in results.items():
            if 'failed' not in result and first.exists():
                result['labels_differ'] = int((np.load(first) != np.load(first.with_stem(way))).sum())
    if 'failed' in results[ways[0]]:
        raise InputError(f'cannot compare: the baseline {ways[0]} takes {results[ways[0]]["failed"]}; raise --limit')
    baseline = results[ways[0]]['times_s']
    return [dict(contender=way, failed=result['failed']) if 'failed' in result else _summary(result, baseline)
            for way, result in results.items()]


def _run(result: dict, config: Path, width: int, height: int, limit: int, labels: Path) -> None:
    command = [sys.executable, '-W', 'ignore', Path(__file__).with_name('one_image.py'), config,
               result['contender'], width, height, labels, '--limit', limit]
    process = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if process.returncode:
        last = process.stderr.strip().splitlines()[-1:] or [f'exit code {process.returncode}']
        if process.returncode != -9 and not any(words in last[0] for words in NO_MEMORY):
            raise InputError(f'{result["contender"]} failed on {width} x {height}: {last[0]}')
        result['failed'] = f'more than {limit / 1e9:g} GB'
    else:
        measured = json.loads(process.stdout.splitlines()[-1])
        result['times_s'].append(measured['seconds'])
        result['peaks'].append(measured['peak'])


def _summary(result: dict, baseline: list[float]) -> dict:
    times, peaks = result.pop('times_s'), result.pop('peaks')
    return result | summarise(times, baseline) | dict(peak_memory_bytes=int(median(peaks)))
