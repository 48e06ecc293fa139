"""Plot time and memory against resolution, from the JSON that ``tools/benchmark.py`` writes."""
from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.table import size_key
from xcit_mm.errors import InputError, MissingInputError
from xcit_mm.files import complete_file

PANELS = (('median_s', 1.0, 'median time (s)'), ('peak_memory_bytes', 1e-9, 'peak memory of {} (GB)'))


def read(path: Path) -> tuple[dict, list[dict]]:
    """Read the environment and the results from a benchmark file.

    Raises:
        InputError: the file does not exist, or ``tools/benchmark.py`` did not write it.
    """
    try:
        content = json.loads(path.read_text())
        return content['environment'], content['results']
    except FileNotFoundError:
        raise MissingInputError(f'cannot read {path}: no such file; create it with tools/benchmark.py') from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f'cannot read {path}: not a benchmark file; create it with tools/benchmark.py') from None


def plot(environment: dict, results: list[dict], out: Path) -> None:
    """Plot a benchmark as a PNG, with one curve per contender against pixels or tokens.

    Raises:
        InputError: the picture cannot be written.
    """
    size = size_key(results)
    figure = Figure(figsize=(11, 4.4), layout='constrained')
    for axes, (key, unit, label) in zip(figure.subplots(1, len(PANELS)), PANELS):
        for index, contender in enumerate(dict.fromkeys(row['contender'] for row in results)):
            rows = [row for row in results if row['contender'] == contender and 'failed' not in row]
            sizes = [row['size']**2 / 1e6 if size == 'size' else row[size] for row in rows]
            style = 'o-' if index < 10 else 's--'  # there are ten colours
            axes.loglog(sizes, [row[key] * unit for row in rows], style, label=contender)
        axes.set(xlabel='megapixels' if size == 'size' else size,
                 ylabel=label.format('the process' if size == 'megapixels' else 'tensors'))
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc='outside right center', fontsize=8)
    first = results[0]
    keys = ('benchmark', 'config', 'arch', 'channels', 'heads', 'backward', 'batch', 'dtype')
    what = ', '.join(f'{key} {first[key]}' for key in keys if key in first)
    cpu = f'{environment["cpu"]}, {environment["threads"]} threads'
    where = environment['gpu'] if first['device'] == 'cuda' else cpu
    figure.suptitle(f'{what}\n{where}, torch {environment["versions"]["torch"]}', fontsize=10)
    with complete_file(out) as file:
        figure.savefig(file, format='png', dpi=110)
