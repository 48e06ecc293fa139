"""Benchmark results as tables: on the terminal, and in Markdown."""
from __future__ import annotations

from itertools import groupby
from math import log

from rich.console import Console
from rich.table import Table

STATISTICS = ('contender', 'median_s', 'iqr_s', 'times_s', 'ratio', 'ratio_iqr', 'peak_memory_bytes',
              'saved_bytes', 'flops')
HEADINGS = ('contender', 'median, ms', 'spread, ms', 'times the first', 'spread', 'peak, MB', 'saved, MB', 'GFLOP')


def show(rows: list[dict]) -> None:
    """Print the contenders of one case."""
    facts = ', '.join(f'{key} {value}' for key, value in _facts(rows[0]).items())
    table = Table(HEADINGS[0], title=facts, title_justify='left')
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify='right')
    for row in rows:
        table.add_row(*_cells(row))
    Console(width=max(Console().width, 110)).print(table)


def to_markdown(results: list[dict]) -> str:
    """One table of all cases of a benchmark, each with its size in front of its first row.

    The last column is the exponent by which the time has grown with tokens or pixels since the size before.
    """
    key = 'tokens' if 'tokens' in results[0] else 'size'
    lines = [' | '.join(('', key, *HEADINGS, 'exponent', '')).strip(), '|--:|:--' + '|--:' * len(HEADINGS) + '|']
    before: dict[str, dict] = {}
    for facts, case in groupby(results, _facts):
        rows = list(case)
        for row in rows:
            size = str(facts[key]) if row is rows[0] else ''
            growth = _growth(before.get(row['contender']), row, key)
            lines.append(f'| {size} | ' + ' | '.join((*_cells(row), growth)) + ' |')
            before[row['contender']] = row
    return '\n'.join(lines)


def _growth(before: dict | None, row: dict, key: str) -> str:
    if before is None or before[key] == row[key]:
        return ''
    dimensions = 1 if key == 'tokens' else 2  # a size is a side of an image
    return f'{log(row["median_s"] / before["median_s"]) / log(row[key] / before[key]) / dimensions:.2f}'


def _facts(row: dict) -> dict:
    return {key: value for key, value in row.items() if key not in STATISTICS}


def _cells(row: dict) -> tuple[str, ...]:
    return (row['contender'], f'{1e3 * row["median_s"]:.1f}', f'{1e3 * row["iqr_s"]:.1f}',
            f'{row["ratio"]:.2f}', f'{row["ratio_iqr"]:.2f}', f'{row["peak_memory_bytes"] / 1e6:.0f}',
            f'{row["saved_bytes"] / 1e6:.0f}', f'{row["flops"] / 1e9:.1f}')
