"""MMEngine's runner with safe and strict loading, complete checkpoints, and hooks for what goes wrong."""
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
from .hooks.termination import spare_workers

OWN_HOOKS = dict(invalid_loss=dict(type=InvalidLossHook), label_range=dict(type=LabelRangeHook),
                 termination=dict(type=TerminationHook))
if TYPE_CHECKING:
    from typing import Any as BothRunners  # FlexibleRunner is no Runner
else:
    BothRunners = object


class CompleteRuns(BothRunners):
    """What both of MMEngine's runners lack: hooks for what goes wrong, and checkpoints that are complete."""

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register MMEngine's default hooks and ours; see there."""
        hooks = dict(checkpoint=dict(type=CompleteCheckpointHook, interval=1)) | OWN_HOOKS | (hooks or {})
        super().register_default_hooks({name: hook for name, hook in hooks.items()
                                        if hook is not None or name not in OWN_HOOKS})

    @classmethod
    def build_dataloader(cls, dataloader: DataLoader | dict, *args: object, **kwargs: object) -> DataLoader:
        """Build a data loader as MMEngine does, which names an image or a mask that cannot be read.

        Args:
            dataloader: beside MMEngine's keys, ``damaged_files``, as of ``datasets.damaged_files.guard``.

        Raises:
            InputError: there is no such action, or files would be skipped in an evaluation.
        """
        action = 'refuse'
        if isinstance(dataloader, dict):
            dataloader = dict(dataloader)
            action = dataloader.pop('damaged_files', action)
        built = super().build_dataloader(dataloader, *args, **kwargs)
        if built is not dataloader:
            spare_workers(built)
            is_training = getattr(built.sampler, 'shuffle', True) and not getattr(built.dataset, 'test_mode', False)
            guard(built.dataset, action, may_skip=is_training)
        return built

    def train(self) -> nn.Module:
        """Train as MMEngine does; then SIGTERM, which a hook may have caught, is as it was, however it ended."""
        before = signal.getsignal(signal.SIGTERM)
        try:
            return super().train()
        finally:
            if signal.getsignal(signal.SIGTERM) is not before:
                signal.signal(signal.SIGTERM, before or signal.SIG_DFL)  # None: a handler that is not Python's

    def save_checkpoint(self, out_dir: str, filename: str, *args: object, **kwargs: object) -> None:
        """Save as MMEngine does, under a name that the file gets when it is complete.

        Raises:
            InputError: the file cannot be written; the disk is full, say.
        """
        if '://' in str(out_dir) or not is_main_process():
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        with complete_file(Path(out_dir, filename)) as partial:
            super().save_checkpoint(out_dir, partial.name, *args, **kwargs)


@RUNNERS.register_module()
class StrictRunner(CompleteRuns, Runner):
    """A ``Runner`` whose ``load_from``, ``resume`` and tests refuse what does not fit the model.

    Its default hooks are MMEngine's, with ``CompleteCheckpointHook``, and ``invalid_loss``, ``label_range`` and
    ``termination``; a config switches one off by ``default_hooks = dict(invalid_loss=None)``.

    MMEngine's own loading skips keys that do not match, and may run code of a file that torch refuses. Where a
    config says ``load_from_strict = False``, ``load_from`` takes what fits and warns of the rest.
    """

    def setup_env(self, env_cfg: dict) -> None:
        """Set up the process as MMEngine does, which knows no distributed training without an accelerator."""
        if self.distributed and not is_distributed() and get_device() == 'cpu':
            torch.distributed.init_process_group('gloo')
        super().setup_env(env_cfg)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap the model as MMEngine does. Without an accelerator, batch norms stay each process's own."""
        if self.distributed and get_device() == 'cpu':
            self.cfg.sync_bn = None  # which torch has for GPUs only
            model_wrapper_cfg = dict(type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None
                                     ) | (model_wrapper_cfg or {})
        return super().wrap_model(model_wrapper_cfg, model)

    def load_checkpoint(self, filename: str, map_location: object = None) -> dict:
        """Load a checkpoint into the model; hooks see it first, as with MMEngine's runner.

        Args:
            filename: file or URL.
            map_location: ignored; weights are read onto the CPU and copied to where the model is.

        Raises:
            InputError: as ``checkpoints.read`` and ``checkpoints.load``.
        """
        checkpoint = dict(checkpoints.read(filename))
        if self._resume and 'optimizer' not in checkpoint:
            raise InputError(f'cannot resume from {filename}: it holds weights only; give it as load_from')
        model = self.model.module if is_model_wrapper(self.model) else self.model
        strict = self.cfg.get('load_from_strict', True) or self._resume
        checkpoint['state_dict'] = checkpoints.get_state_dict(checkpoint)  # where hooks look for the weights
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        checkpoints.load(model, checkpoint, strict, filename)
        self._has_loaded = True
        return checkpoint
