"""Check that training can resume from a checkpoint, and report the config settings that the checkpoint overrides."""
from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.logging import print_log

from ..errors import InputError

# Attributes of a scheduler that change while it runs, or are determined by the optimizer.
PROGRESS = {'optimizer', 'base_values', 'best', 'cooldown_counter', 'last_step', 'num_bad_epochs', 'verbose'}


def require_training_state(checkpoint: dict, filename: str) -> None:
    """Check that a training run can resume from a checkpoint.

    Raises:
        InputError: the checkpoint contains only weights, or comes from another program.
    """
    if 'optimizer' not in checkpoint:
        raise InputError(f'cannot resume from {filename}: it holds only weights; set load_from to it instead')
    meta = checkpoint.get('meta')
    if not isinstance(meta, dict) or not {'epoch', 'iter'} <= set(meta) or 'message_hub' not in checkpoint:
        raise InputError(f'cannot resume from {filename}: it lacks the progress that MMEngine saves; '
                         'set load_from to it instead')


@contextmanager
def report_overrides(runner: Any, filename: str) -> Iterator[None]:
    """Warn about each optimizer or schedule setting that changes while a runner resumes in this context.

    MMEngine replaces the config's settings with those in the checkpoint, e.g. a new learning rate with the old one.

    Raises:
        InputError: the checkpoint's optimizer has different parameters.
    """
    before = _settings(runner)
    try:
        yield
    except InputError:
        raise
    except (ValueError, KeyError) as error:
        raise InputError(f'cannot resume from {filename}: its optimizer or schedule does not fit the config '
                         f'({str(error).splitlines()[0]}); resume with the config of that checkpoint') from error
    for name, value in _settings(runner).items():
        old = before.get(name, 'not set')
        if before and repr(value) != repr(old):
            print_log(f'{filename} overrides {name}: {value} instead of {old}; to use the setting of the config, start '
                      'with load_from instead of resuming', 'current', logging.WARNING)


def _settings(runner: Any) -> dict[str, object]:
    """Return the settings of the optimizers and schedules that a runner has built, keyed by their names in a config."""
    groups: dict[str, dict[str, object]] = {}  # each setting's distinct values, keyed by their string form
    for path, members in _named(getattr(runner.optim_wrapper, 'param_groups', []), 'optim_wrapper'):
        for group in members:
            for name, value in group.items():
                current = f'initial_{name}' in group or (name == 'betas' and 'initial_momentum' in group)
                if name != 'params' and not current:  # a schedule changes the current value
                    key = f'{path}.optimizer.{name.removeprefix("initial_")}'
                    groups.setdefault(key, {})[repr(value)] = value
    settings: dict[str, object] = {key: next(iter(values.values())) if len(values) == 1 else list(values.values())
                                   for key, values in groups.items()}
    for path, members in _named(runner.param_schedulers or [], 'param_scheduler'):
        for index, scheduler in enumerate(members):
            if not isinstance(scheduler, dict):
                settings |= {f'{path}.{index}.{name}': value for name, value in vars(scheduler).items()
                             if name not in PROGRESS and not name.startswith('_')}
    return settings


def _named(members: Any, path: str) -> list[tuple[str, list]]:
    """Return (path, list) pairs, one for each name if there are several optimizers."""
    if isinstance(members, dict):
        return [(f'{path}.{name}', values) for name, values in members.items() if isinstance(values, list)]
    return [(path, members)] if isinstance(members, list) else []
