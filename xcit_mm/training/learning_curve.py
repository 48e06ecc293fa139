"""Read the scalars that MMEngine's local backend logs, and plot them."""
from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

from ..errors import InputError
from ..files import complete_file


def read(work_dir: Path) -> list[dict]:
    """Read the logs of all training runs in a work directory, in step order.

    A later run, whether resumed or fresh, replaces earlier runs from its first step on.

    Raises:
        InputError: the directory contains no training log.
    """
    records: list[dict] = []
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        # A killed run can leave an incomplete line.
        later = [json.loads(line) for line in file.read_text().splitlines() if line.endswith('}')]
        if any('loss' in record for record in later):
            start = min(record['step'] for record in later)
            records = [record for record in records if record['step'] < start] + later
    if not records:
        raise InputError(f'cannot draw a learning curve: {work_dir} contains no training log; '
                         'pass the --work-dir of a training run')
    return records


def draw(records: list[dict], metric: str) -> Figure:
    """Draw the loss (left axis, logarithmic) and a validation metric (right axis) against the iteration number."""
    figure = Figure(figsize=(8, 4.5), layout='constrained')
    loss_axis = figure.subplots()
    training = [record for record in records if 'loss' in record]
    loss_axis.plot([r['step'] for r in training], [r['loss'] for r in training], color='tab:blue')
    loss_axis.set(xlabel='iteration', yscale='log')
    loss_axis.set_ylabel('training loss', color='tab:blue')
    validation = [record for record in records if metric in record]
    if validation:
        metric_axis = loss_axis.twinx()
        metric_axis.plot([r['step'] for r in validation], [r[metric] for r in validation], 'o-', color='tab:orange')
        # mmdet logs average precision and recall as fractions, whereas mmseg logs percentages.
        is_fraction = any(name in metric for name in ('AP', 'AR@'))
        metric_axis.set_ylim(0, 1 if is_fraction else 100)
        metric_axis.set_ylabel(f'validation {metric}' + ('' if is_fraction else ' (%)'), color='tab:orange')
    return figure


def plot(records: list[dict], metric: str, out: Path) -> None:
    """Write the figure from ``draw`` as a PNG file.

    Raises:
        InputError: the file cannot be written.
    """
    with complete_file(out) as file:
        draw(records, metric).savefig(file, format='png', dpi=120)
