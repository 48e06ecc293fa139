"""MMEngine's runner with safe, strict loading, complete checkpoints, and hooks that report failures."""
from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import OPTIM_WRAPPERS, RUNNERS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from .. import checkpoints
from ..classes import require_names
from ..errors import InputError
from ..files import complete_file
from .coco_files import matched_by_name
from .damaged_files import guard, require_masks
from .empty_data import name_empty_data
from .hooks import (
    ClassNamesHook,
    CompleteCheckpointHook,
    InvalidLossHook,
    LabelCensusHook,
    LabelRangeHook,
    TerminationHook,
)
from .metrics import adapt
from .resumption import report_overrides, require_training_state
from .workers import shield_workers

OWN_HOOKS = dict(invalid_loss=dict(type=InvalidLossHook), label_range=dict(type=LabelRangeHook),
                 class_names=dict(type=ClassNamesHook), label_census=dict(type=LabelCensusHook),
                 termination=dict(type=TerminationHook))
WORKER_SETTINGS = ('persistent_workers', 'prefetch_factor', 'multiprocessing_context')  # need num_workers > 0
if TYPE_CHECKING:
    from typing import Any as AnyRunner  # FlexibleRunner does not derive from Runner
else:
    AnyRunner = object


class RunnerMixin(AnyRunner):
    """Mixin that makes MMEngine's two runners detect failures with hooks and write only complete checkpoints."""

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register MMEngine's default hooks and ours; passing None in place of a hook disables it."""
        hooks = dict(checkpoint=dict(type=CompleteCheckpointHook, interval=1)) | OWN_HOOKS | (hooks or {})
        super().register_default_hooks({name: hook for name, hook in hooks.items()
                                        if hook is not None or name not in OWN_HOOKS})

    @classmethod
    def from_cfg(cls, cfg: Config) -> Runner:
        """Build a runner.

        Raises:
            InputError: the config requests mixed precision, but there is no GPU.
        """
        wrapper = (cfg.get('optim_wrapper') or {}).get('type')
        wrapper = OPTIM_WRAPPERS.get(wrapper) if isinstance(wrapper, str) else wrapper
        if isinstance(wrapper, type) and issubclass(wrapper, AmpOptimWrapper) and get_device() == 'cpu':
            raise InputError(f'cannot use optim_wrapper.type={wrapper.__name__}: mixed precision needs a GPU, and '
                             'torch finds none; set it to OptimWrapper')
        return super().from_cfg(cfg)

    @classmethod
    def build_dataloader(cls, dataloader: DataLoader | dict, *args: object, **kwargs: object) -> DataLoader:
        """Build a data loader that labels objects by name and reports every image or mask that it cannot read.

        Args:
            dataloader: MMEngine's keys plus ``damaged_files``, the ``action`` of ``damaged_files.guard``. Worker
                settings have no effect with ``num_workers=0``.

        Raises:
            InputError: the action is unknown, an evaluation would skip files, or a COCO file is incomplete or lacks a
                class of the config.
        """
        action = 'refuse'
        if isinstance(dataloader, dict):
            dataloader = dict(dataloader)
            action = dataloader.pop('damaged_files', action)
            if not dataloader.get('num_workers'):
                dataloader = {key: value for key, value in dataloader.items() if key not in WORKER_SETTINGS}
        with matched_by_name(dataloader) as maskless, name_empty_data(dataloader):
            built = super().build_dataloader(dataloader, *args, **kwargs)
        if built is not dataloader:
            require_names(getattr(built.dataset, 'metainfo', None) or {})
            require_masks(built.dataset, maskless)
            shield_workers(built)
            is_training = getattr(built.sampler, 'shuffle', True) and not getattr(built.dataset, 'test_mode', False)
            guard(built.dataset, action, may_skip=is_training, workers=built.num_workers)
        return built

    def build_evaluator(self, evaluator: Evaluator | dict | list) -> Evaluator:
        """Build an evaluator whose metrics match classes by name; see ``metrics.adapt``."""
        if isinstance(evaluator, Evaluator):
            return evaluator
        with matched_by_name(evaluator):
            built = super().build_evaluator(evaluator)
        for metric in built.metrics:
            adapt(metric)
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
    """A ``Runner`` whose ``load_from``, ``resume`` and tests reject weights that do not match the model.

    The default hooks are MMEngine's, with ``CompleteCheckpointHook`` as ``checkpoint``, plus those in ``OWN_HOOKS``. To
    disable a hook, set e.g. ``default_hooks = dict(invalid_loss=None)`` in the config.

    MMEngine's own loading skips keys that do not match, and may run code from a file that torch refuses to load. With
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
            model_wrapper_cfg = dict(
                type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None,
                find_unused_parameters=self.cfg.get('find_unused_parameters', False)) | (model_wrapper_cfg or {})
        return super().wrap_model(model_wrapper_cfg, model)

    def resume(self, filename: str, *args: object, **kwargs: object) -> None:
        """Resume as MMEngine does, and warn about each config setting that the checkpoint overrides.

        Raises:
            InputError: see ``load_checkpoint``; also if the checkpoint's optimizer or schedule does not fit the config.
        """
        with report_overrides(self, filename):
            super().resume(filename, *args, **kwargs)

    def load_checkpoint(self, filename: str, map_location: object = None, strict: bool | None = None,
                        revise_keys: Sequence[tuple[str, str]] = ()) -> dict:
        """Pass a checkpoint to the hooks, as MMEngine's runner does, and then load it into the model.

        Args:
            filename: file or URL.
            map_location: ignored; weights are read onto the CPU and copied to the device of the model.
            strict: reject weights that do not match. Default: the config's ``load_from_strict``, or True.
            revise_keys: patterns and replacements for the keys, in this order.

        Raises:
            InputError: see ``checkpoints.read`` and ``checkpoints.load``; also if the runner is resuming but the file
                contains only weights.
        """
        checkpoint = dict(checkpoints.read(filename))
        if self._resume:
            require_training_state(checkpoint, filename)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        if strict is None:
            strict = self.cfg.get('load_from_strict', True) or self._resume
        weights = checkpoints.get_state_dict(checkpoint)
        for pattern, replacement in revise_keys:
            revised = {re.sub(pattern, replacement, key): value for key, value in weights.items()}
            weights = checkpoints.with_metadata(revised, weights)
        placement = checkpoints.prepare(model, weights, filename, adapt_stem=not self._resume)
        checkpoint['state_dict'] = placement.weights  # where hooks expect them, under the keys of the model
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        checkpoints.apply(model, placement.with_weights(checkpoint['state_dict']), strict, filename)
        self._has_loaded = True
        return checkpoint
