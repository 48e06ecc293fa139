"""Benchmark results as a table on the terminal."""
from __future__ import annotations

from rich.console import Console
from rich.table import Table

STATISTICS = ('contender', 'median_s', 'iqr_s', 'times_s', 'peak_memory_bytes', 'saved_bytes', 'flops')


def show(rows: list[dict]) -> None:
    """Print the contenders of one case, and how many times faster the first one is than each."""
    facts = ', '.join(f'{key} {value}' for key, value in rows[0].items() if key not in STATISTICS)
    table = Table('contender', title=facts, title_justify='left')
    for heading in ('median, ms', 'spread, ms', 'times the first', 'peak, MB', 'saved, MB', 'GFLOP'):
        table.add_column(heading, justify='right')
    for row in rows:
        table.add_row(
            row['contender'], f'{1e3 * row["median_s"]:.1f}', f'{1e3 * row["iqr_s"]:.1f}',
            f'{row["median_s"] / rows[0]["median_s"]:.2f}', f'{row["peak_memory_bytes"] / 1e6:.0f}',
            f'{row["saved_bytes"] / 1e6:.0f}', f'{row["flops"] / 1e9:.1f}')
    Console().print(table)
