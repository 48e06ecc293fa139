"""The scalars that MMEngine's local backend logs, and a picture of them."""
from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt

from ..errors import InputError
from ..files import complete_file


def read(work_dir: Path) -> list[dict]:
    """Read what the trainings in a work directory logged, in order of their steps.

    A later training takes over at its first step, be it a resumed one or a fresh start.

    Raises:
        InputError: there is none.
    """
    records: list[dict] = []
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        # A killed training can leave half a line.
        later = [json.loads(line) for line in file.read_text().splitlines() if line.endswith('}')]
        if any('loss' in record for record in later):
            start = min(record['step'] for record in later)
            records = [record for record in records if record['step'] < start] + later
    if not records:
        raise InputError(f'no training log in {work_dir}; is it the --work-dir of a training?')
    return records


def plot(records: list[dict], metric: str, out: Path) -> None:
    """Draw loss (left axis) and a validation metric (right axis) against iterations, as PNG.

    Raises:
        InputError: the file cannot be written.
    """
    figure, loss_axis = plt.subplots(figsize=(8, 4.5), layout='constrained')
    training = [record for record in records if 'loss' in record]
    loss_axis.plot([r['step'] for r in training], [r['loss'] for r in training], color='tab:blue')
    loss_axis.set(xlabel='iteration', yscale='log')
    loss_axis.set_ylabel('training loss', color='tab:blue')
    validation = [record for record in records if metric in record]
    if validation:
        metric_axis = loss_axis.twinx()
        metric_axis.plot([r['step'] for r in validation], [r[metric] for r in validation], 'o-', color='tab:orange')
        metric_axis.set_ylim(0, 100)
        metric_axis.set_ylabel(f'held-out {metric} (%)', color='tab:orange')
    with complete_file(out) as file:
        figure.savefig(file, format='png', dpi=120)
    plt.close(figure)
