"""Format benchmark results as terminal and Markdown tables."""
from __future__ import annotations

from itertools import groupby
from math import log

from rich.console import Console
from rich.table import Table

STATISTICS = ('contender', 'median_s', 'iqr_s', 'times_s', 'ratio', 'ratio_iqr', 'peak_memory_bytes',
              'saved_bytes', 'flops', 'labels_differ', 'failed')
HEADINGS = ('contender', 'median, ms', 'spread, ms', 'relative to first', 'spread', 'peak, MB', 'saved, MB', 'GFLOP')
PROCESS_HEADINGS = ('contender', 'median, s', 'spread, s', 'relative to first', 'spread', 'peak of the process, GB',
                    'labels that differ')


def show(rows: list[dict]) -> None:
    """Print the table for one case, with one row per contender."""
    facts = ', '.join(f'{key} {value}' for key, value in _facts(rows[0]).items())
    first, *others = _headings(rows)
    table = Table(first, title=facts, title_justify='left')
    for heading in others:
        table.add_column(heading, justify='right')
    for row in rows:
        table.add_row(*_cells(row))
    Console(width=max(Console().width, 110)).print(table)


def to_markdown(results: list[dict]) -> str:
    """Return a single table of all cases in a benchmark; the first row of each case begins with its size.

    The last column is the growth exponent of time against tokens or pixels, from one size to the next.
    """
    key, headings = size_key(results), _headings(results)
    lines = [' | '.join(('', key, *headings, 'exponent', '')).strip(), '|--:|:--' + '|--:' * len(headings) + '|']
    before: dict[str, dict] = {}
    for facts, case in groupby(results, _facts):
        rows = list(case)
        for row in rows:
            size = f'{facts[key]:g}' if row is rows[0] else ''
            growth = _growth(before.get(row['contender']), row, key)
            lines.append(f'| {size} | ' + ' | '.join((*_cells(row), growth)) + ' |')
            before[row['contender']] = row
    return '\n'.join(lines)


def size_key(results: list[dict]) -> str:
    """Return the key for the size of a benchmark's cases; ``size`` is the side of a square image in px."""
    return next(key for key in ('tokens', 'size', 'megapixels', 'channels') if key in results[0])


def _headings(rows: list[dict]) -> tuple[str, ...]:
    return PROCESS_HEADINGS if size_key(rows) == 'megapixels' else HEADINGS


def _growth(before: dict | None, row: dict, key: str) -> str:
    if before is None or before[key] == row[key] or 'failed' in before or 'failed' in row:
        return ''
    dimensions = 2 if key == 'size' else 1
    return f'{log(row["median_s"] / before["median_s"]) / log(row[key] / before[key]) / dimensions:.2f}'


def _facts(row: dict) -> dict:
    return {key: value for key, value in row.items() if key not in STATISTICS}


def _cells(row: dict) -> tuple[str, ...]:
    if 'failed' in row:
        return row['contender'], '', '', '', '', row['failed'], ''
    ratios = f'{row["ratio"]:.2f}', f'{row["ratio_iqr"]:.2f}'
    if 'flops' not in row:
        return (row['contender'], f'{row["median_s"]:.1f}', f'{row["iqr_s"]:.1f}', *ratios,
                f'{row["peak_memory_bytes"] / 1e9:.2f}', f'{row["labels_differ"]:,}')
    return (row['contender'], f'{1e3 * row["median_s"]:.1f}', f'{1e3 * row["iqr_s"]:.1f}', *ratios,
            # torch cannot see what other runtimes do
            *((f'{row["peak_memory_bytes"] / 1e6:.0f}', f'{row["saved_bytes"] / 1e6:.0f}', f'{row["flops"] / 1e9:.1f}')
              if row['flops'] else ('', '', '')))
