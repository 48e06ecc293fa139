"""MMEngine's runner with safe, strict loading, complete checkpoints, and hooks that report failures."""
from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from mmengine.device import get_device
from mmengine.dist import is_distributed, is_main_process
from mmengine.model import is_model_wrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from .. import checkpoints
from ..errors import InputError
from ..files import complete_file
from .damaged_files import guard
from .hooks import CompleteCheckpointHook, InvalidLossHook, LabelRangeHook, TerminationHook
from .workers import shield_workers

OWN_HOOKS = dict(invalid_loss=dict(type=InvalidLossHook), label_range=dict(type=LabelRangeHook),
                 termination=dict(type=TerminationHook))
if TYPE_CHECKING:
    from typing import Any as AnyRunner  # FlexibleRunner does not derive from Runner
else:
    AnyRunner = object


class RunnerMixin(AnyRunner):
    """Mixin for MMEngine's two runners that adds hooks for failures and writes complete checkpoints only."""

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register MMEngine's default hooks and ours; None in place of a hook disables it."""
        hooks = dict(checkpoint=dict(type=CompleteCheckpointHook, interval=1)) | OWN_HOOKS | (hooks or {})
        super().register_default_hooks({name: hook for name, hook in hooks.items()
                                        if hook is not None or name not in OWN_HOOKS})

    @classmethod
    def build_dataloader(cls, dataloader: DataLoader | dict, *args: object, **kwargs: object) -> DataLoader:
        """Build a data loader that names every image or mask that it cannot read.

        Args:
            dataloader: MMEngine's keys plus ``damaged_files``, the ``action`` of ``damaged_files.guard``.

        Raises:
            InputError: the action is unknown, or an evaluation asks to skip files.
        """
        action = 'refuse'
        if isinstance(dataloader, dict):
            dataloader = dict(dataloader)
            action = dataloader.pop('damaged_files', action)
        built = super().build_dataloader(dataloader, *args, **kwargs)
        if built is not dataloader:
            shield_workers(built)
            is_training = getattr(built.sampler, 'shuffle', True) and not getattr(built.dataset, 'test_mode', False)
            guard(built.dataset, action, may_skip=is_training)
        return built

    def train(self) -> nn.Module:
        """Train as MMEngine does, then restore the SIGTERM handler that a hook may have replaced."""
        before = signal.getsignal(signal.SIGTERM)
        try:
            return super().train()
        finally:
            if signal.getsignal(signal.SIGTERM) is not before:
                signal.signal(signal.SIGTERM, before or signal.SIG_DFL)  # None: the handler was not set from Python

    def save_checkpoint(self, out_dir: str, filename: str, *args: object, **kwargs: object) -> None:
        """Save as MMEngine does, but give the file its name only once it is complete.

        Raises:
            InputError: the file cannot be written, for example because the disk is full.
        """
        if '://' in str(out_dir) or not is_main_process():
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        with complete_file(Path(out_dir, filename)) as partial:
            super().save_checkpoint(out_dir, partial.name, *args, **kwargs)


@RUNNERS.register_module()
class StrictRunner(RunnerMixin, Runner):
    """A ``Runner`` whose ``load_from``, ``resume`` and tests refuse weights that do not match the model.

    Its default hooks are MMEngine's, with ``CompleteCheckpointHook`` as ``checkpoint``, plus ``invalid_loss``,
    ``label_range`` and ``termination``. A config disables a hook with ``default_hooks = dict(invalid_loss=None)``.

    MMEngine's own loading skips keys that do not match, and may run code from a file that torch refuses. With
    ``load_from_strict = False`` in the config, ``load_from`` loads the weights that match and warns about the rest.
    """

    def setup_env(self, env_cfg: dict) -> None:
        """Set up the process as MMEngine does; without an accelerator, also start a gloo process group."""
        if self.distributed and not is_distributed() and get_device() == 'cpu':
            torch.distributed.init_process_group('gloo')
        super().setup_env(env_cfg)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap the model as MMEngine does; without an accelerator, batch norms are not synchronised."""
        if self.distributed and get_device() == 'cpu':
            self.cfg.sync_bn = None  # torch implements it for GPUs only
            model_wrapper_cfg = dict(type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None
                                     ) | (model_wrapper_cfg or {})
        return super().wrap_model(model_wrapper_cfg, model)

    def load_checkpoint(self, filename: str, map_location: object = None) -> dict:
        """Load a checkpoint into the model; as in MMEngine's runner, hooks see it first.

        Args:
            filename: file or URL.
            map_location: ignored; weights are read onto the CPU and copied to the device of the model.

        Raises:
            InputError: see ``checkpoints.read`` and ``checkpoints.load``; or the runner resumes and the file holds
                only weights.
        """
        checkpoint = dict(checkpoints.read(filename))
        if self._resume:
            require_optimizer(checkpoint, filename)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        strict = self.cfg.get('load_from_strict', True) or self._resume
        checkpoint['state_dict'] = checkpoints.get_state_dict(checkpoint)  # where hooks expect the weights
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        checkpoints.load(model, checkpoint, strict, filename, adapt_stem=not self._resume)  # the optimizer's stay
        self._has_loaded = True
        return checkpoint


def require_optimizer(checkpoint: dict, filename: str) -> None:
    """Check that a training run can resume from a checkpoint.

    Raises:
        InputError: the checkpoint holds only weights.
    """
    if 'optimizer' not in checkpoint:
        raise InputError(f'cannot resume from {filename}: it holds only weights; set load_from to it instead')
