"""MMEngine's runner for strategies such as FSDP, with the additions of ``StrictRunner``."""
from __future__ import annotations

import torch
from mmengine._strategy import BaseStrategy, DDPStrategy, FSDPStrategy, SingleDeviceStrategy
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.model import BaseModel
from mmengine.registry import RUNNERS, STRATEGIES
from mmengine.runner import FlexibleRunner
from torch import nn
from torch.distributed.fsdp import StateDictType

from .. import checkpoints
from ..errors import InputError
from .resumption import report_overrides, require_training_state
from .runner import RunnerMixin


@RUNNERS.register_module()
class StrictFlexibleRunner(RunnerMixin, FlexibleRunner):
    """A ``FlexibleRunner`` whose ``load_from`` and ``resume`` reject weights that do not match the model.

    ``tools/train.py`` uses it for configs with a ``strategy``.
    """

    _load_from: str | None
    model: BaseModel

    def build_strategy(self, strategy: BaseStrategy | dict | None = None, launcher: str = 'none', **kwargs: object
                       ) -> BaseStrategy:
        """Build a strategy as MMEngine does; without an accelerator, also start a gloo process group.

        Raises:
            InputError: the strategy writes checkpoints in pieces, as DeepSpeed does, or needs several processes when
                there is only one.
        """
        if isinstance(strategy, dict):
            kind = _require_whole_checkpoints(strategy)
            if launcher == 'none' and issubclass(kind, DDPStrategy) and not is_distributed():
                raise InputError(f'cannot use {kind.__name__} in a single process: it needs several; '
                                 'run tools/dist_train.sh CONFIG GPUS')
        if launcher != 'none' and not is_distributed() and get_device() == 'cpu':
            torch.distributed.init_process_group('gloo')
        return super().build_strategy(strategy, launcher, **kwargs)

    def train(self) -> nn.Module:
        """Train; the ``load_from`` weights are loaded before the strategy shards the model.

        Raises:
            InputError: see ``checkpoints.read`` and ``checkpoints.load``.
        """
        self._load_weights()
        return super().train()

    def val(self) -> dict:
        """Validate; see ``train``."""
        self._load_weights()
        return super().val()

    def test(self) -> dict:
        """Test; see ``train``."""
        self._load_weights()
        return super().test()

    def resume(self, filename: str, *args: object, **kwargs: object) -> None:
        """Resume from a checkpoint saved with this strategy, and warn about each config setting that it overrides.

        Raises:
            InputError: see ``checkpoints.read``; also if the checkpoint contains only weights or belongs to another
                model.
        """
        checkpoint = checkpoints.read(filename)
        given = set(checkpoints.get_state_dict(checkpoint))
        wanted = set(map(checkpoints.plain_key, self.model.state_dict()))
        if given != wanted:
            raise InputError(f'cannot resume from {filename}: its model differs from that of the config '
                             f'({len(given - wanted)} unexpected and {len(wanted - given)} missing keys); '
                             'resume with the config of that checkpoint')
        require_training_state(checkpoint, filename)
        with checkpoints.harmless_classes(), report_overrides(self, filename):  # MMEngine reads the file again
            super().resume(str(checkpoints.locate(filename)), *args, **kwargs)

    def _load_weights(self) -> None:
        if self._load_from and not self._resume:
            self.model = self.strategy.build_model(self.model)
            self.model.init_weights()
            checkpoints.load(self.model, self._load_from, self.cfg.get('load_from_strict', True))
            self._load_from = None


def _require_whole_checkpoints(strategy: dict) -> type:
    """Return a strategy's class; reject unknown types and strategies that write checkpoints in pieces."""
    kind = strategy.get('type')
    kind = STRATEGIES.get(kind) if isinstance(kind, str) else kind
    if not isinstance(kind, type):
        raise InputError(f'cannot find strategy {strategy.get("type")!r}: no such type is registered; '
                         'use configs/_base_/strategies/fsdp.py')
    if not issubclass(kind, SingleDeviceStrategy):
        raise InputError(f'cannot use {kind.__name__}: reading its checkpoints would run code from the file; '
                         'use configs/_base_/strategies/fsdp.py')
    states = strategy.get('state_dict_cfg', 'local')
    states = states if isinstance(states, str) else states.get('state_dict_type')
    if issubclass(kind, FSDPStrategy) and states not in ('full', 'FULL_STATE_DICT', StateDictType.FULL_STATE_DICT):
        raise InputError(f'cannot use {kind.__name__} with state_dict_cfg {states}: only the same strategy on as many '
                         'GPUs can read its checkpoints; use configs/_base_/strategies/fsdp.py')
    return kind
