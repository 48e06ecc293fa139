"""Collective decisions across ranks, with at most one small exchange every few iterations."""
from __future__ import annotations

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, is_distributed
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

INTERVAL = 10  # iterations between checks
FLAGS = ('invalid_loss', 'terminated')


def is_check(runner: Runner, batch_idx: int) -> bool:
    """Return whether hooks check for failures after this training iteration; all ranks get the same answer.

    Hooks check every ``INTERVAL`` iterations, and before every checkpoint and validation.
    """
    done = runner.iter + 1
    intervals = [INTERVAL, getattr(runner.train_loop, 'val_interval', 0)]
    intervals += [hook.interval for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    return (any(interval > 0 and done % interval == 0 for interval in intervals) or done >= runner.max_iters
            or Hook().end_of_epoch(runner.train_dataloader, batch_idx))


class SharedFlags:
    """Flags that all ranks share in one exchange; every rank must query them at the same ``moment``."""

    def __init__(self) -> None:
        self._mine = dict.fromkeys(FLAGS, False)
        self._agreed: tuple[object, dict[str, bool]] = (None, {})

    def set(self, name: str) -> None:
        """Set a flag for this rank."""
        self._mine[name] = True

    def on_any_rank(self, name: str, moment: object) -> bool:
        """Return whether a flag was set on any rank; the first query at a given moment exchanges all flags."""
        if not is_distributed():
            return self._mine[name]
        if self._agreed[0] != moment:
            flags = torch.tensor([int(self._mine[flag]) for flag in FLAGS], device=get_device())
            all_reduce(flags, 'max')
            self._agreed = moment, dict(zip(FLAGS, map(bool, flags.tolist())))
        return self._agreed[1][name]


def shared_flags(runner: Runner) -> SharedFlags:
    """Return the flags shared by a runner's hooks."""
    return vars(runner).setdefault('_shared_flags', SharedFlags())
