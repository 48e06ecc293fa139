"""Remove a checkpoint when the one that takes its place is there."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


class _RemovingLater:
    """A file backend of MMEngine's that notes what is to be removed until ``remove_noted`` is called."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._noted: list[Callable[[], None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self._noted.append(lambda: self._backend.remove(path))

    def rmtree(self, path: str) -> None:
        self._noted.append(lambda: self._backend.rmtree(path))

    def remove_noted(self) -> None:
        for remove in self._noted:
            remove()
        self._noted.clear()


@HOOKS.register_module()
class CompleteCheckpointHook(CheckpointHook):
    """A ``CheckpointHook`` that removes an outdated checkpoint, or a best one, after it has written the next.

    MMEngine's removes first: with ``max_keep_ckpts=1`` or ``save_best``, a disk that fills up takes the last one.
    """

    file_backend: Any

    def before_train(self, runner: Runner) -> None:
        """Prepare as MMEngine does."""
        super().before_train(runner)
        self.file_backend = _RemovingLater(self.file_backend)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save as MMEngine does, then remove."""
        super().after_train_epoch(runner)
        self._remove_outdated()

    def after_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        """Save as MMEngine does, then remove."""
        super().after_train_iter(runner, *args, **kwargs)
        self._remove_outdated()

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        """Save the best as MMEngine does, then remove the one before."""
        super().after_val_epoch(runner, metrics)
        self._remove_outdated()

    def _remove_outdated(self) -> None:
        backend = getattr(self, 'file_backend', None)
        if isinstance(backend, _RemovingLater):  # a validation alone has no before_train
            backend.remove_noted()
