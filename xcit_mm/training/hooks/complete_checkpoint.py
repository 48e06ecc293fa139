"""Remove an old checkpoint only after its replacement has been written."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


class _DeferredRemoval:
    """MMEngine file backend that postpones removals until ``remove_now`` is called."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._postponed: list[Callable[[], None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self._postponed.append(lambda: self._backend.remove(path))

    def rmtree(self, path: str) -> None:
        self._postponed.append(lambda: self._backend.rmtree(path))

    def remove_now(self) -> None:
        for remove in self._postponed:
            remove()
        self._postponed.clear()


@HOOKS.register_module()
class CompleteCheckpointHook(CheckpointHook):
    """A ``CheckpointHook`` that removes an outdated checkpoint, or the previous best one, only after writing the next.

    MMEngine's hook removes the old one first, so with ``max_keep_ckpts=1`` or ``save_best``, a full disk means losing
    the last checkpoint.
    """

    file_backend: Any

    def before_train(self, runner: Runner) -> None:
        """Set up as MMEngine does, but postpone removals."""
        super().before_train(runner)
        self.file_backend = _DeferredRemoval(self.file_backend)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save as MMEngine does, then remove outdated checkpoints."""
        super().after_train_epoch(runner)
        self._remove_outdated()

    def after_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        """Save as MMEngine does, then remove outdated checkpoints."""
        super().after_train_iter(runner, *args, **kwargs)
        self._remove_outdated()

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        """Save the best checkpoint as MMEngine does, then remove the previous one."""
        super().after_val_epoch(runner, metrics)
        self._remove_outdated()

    def _remove_outdated(self) -> None:
        backend = getattr(self, 'file_backend', None)
        if isinstance(backend, _DeferredRemoval):  # before_train does not run before a stand-alone validation
            backend.remove_now()
