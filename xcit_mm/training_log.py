"""The scalars that MMEngine's local backend logs, and a picture of them."""
from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt

from .errors import InputError


def read_latest(work_dir: Path) -> list[dict]:
    """Read the newest ``vis_data/scalars.json`` of a work directory that logs a training.

    Raises:
        InputError: there is none.
    """
    for file in sorted(work_dir.glob('*/vis_data/scalars.json'), reverse=True):
        records = [json.loads(line) for line in file.read_text().splitlines()]
        if any('loss' in record for record in records):
            return records
    raise InputError(f'no training log in {work_dir}; is it the --work-dir of a training?')


def plot(records: list[dict], metric: str, out: Path) -> None:
    """Draw loss (left axis) and a validation metric (right axis) against iterations, as PNG."""
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
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)
    plt.close(figure)
