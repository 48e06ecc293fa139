"""MMEngine's runner of strategies, FSDP among them, with what ``StrictRunner`` adds to the common one."""
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
from .runner import CompleteRuns


@RUNNERS.register_module()
class StrictFlexibleRunner(CompleteRuns, FlexibleRunner):
    """A ``FlexibleRunner`` whose ``load_from`` and ``resume`` refuse what does not fit the model.

    ``tools/train.py`` takes it for configs with a ``strategy``.
    """

    _load_from: str | None
    model: BaseModel

    def build_strategy(self, strategy: BaseStrategy | dict | None = None, launcher: str = 'none', **kwargs: object
                       ) -> BaseStrategy:
        """Build a strategy as MMEngine does, which knows no distributed training without an accelerator.

        Raises:
            InputError: the strategy writes checkpoints in pieces, as DeepSpeed's does, or there is one process only
                for a strategy of several.
        """
        if isinstance(strategy, dict):
            kind = _require_whole_checkpoints(strategy)
            if launcher == 'none' and issubclass(kind, DDPStrategy) and not is_distributed():
                raise InputError(f'{kind.__name__} is for several processes: tools/dist_train.sh CONFIG GPUS')
        if launcher != 'none' and not is_distributed() and get_device() == 'cpu':
            torch.distributed.init_process_group('gloo')
        return super().build_strategy(strategy, launcher, **kwargs)

    def train(self) -> nn.Module:
        """Train; weights of ``load_from`` are loaded before the strategy cuts the model into pieces.

        Raises:
            InputError: as ``checkpoints.read`` and ``checkpoints.load``.
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
        """Go on from a checkpoint of a training with this strategy.

        Raises:
            InputError: as ``checkpoints.read``; it holds weights only, or those of another model.
        """
        checkpoint = checkpoints.read(filename)
        if 'optimizer' not in checkpoint:
            raise InputError(f'cannot resume from {filename}: it holds weights only; give it as load_from')
        given, wanted = set(checkpoints.get_state_dict(checkpoint)), set(self.model.state_dict())
        if given != wanted:
            raise InputError(f'cannot resume from {filename}: it is of another model, which has '
                             f'{len(given - wanted)} other keys and lacks {len(wanted - given)}')
        with checkpoints.harmless_classes():  # MMEngine reads the file once more
            super().resume(filename, *args, **kwargs)

    def _load_weights(self) -> None:
        if self._load_from and not self._resume:
            self.model = self.strategy.build_model(self.model)
            self.model.init_weights()
            checkpoints.load(self.model, self._load_from, self.cfg.get('load_from_strict', True))
            self._load_from = None


def _require_whole_checkpoints(strategy: dict) -> type:
    """The class of a strategy; it is refused if it is none, or writes checkpoints in pieces."""
    kind = strategy.get('type')
    kind = STRATEGIES.get(kind) if isinstance(kind, str) else kind
    if not isinstance(kind, type):
        raise InputError(f'no strategy {strategy.get("type")!r}; take configs/_base_/strategies/fsdp.py')
    if not issubclass(kind, SingleDeviceStrategy):
        raise InputError(f'{kind.__name__} writes checkpoints in a format of its own, which cannot be read without '
                         'running code in them: take configs/_base_/strategies/fsdp.py')
    states = strategy.get('state_dict_cfg', 'local')
    states = states if isinstance(states, str) else states.get('state_dict_type')
    if issubclass(kind, FSDPStrategy) and states not in ('full', 'FULL_STATE_DICT', StateDictType.FULL_STATE_DICT):
        raise InputError(f'{kind.__name__} with state_dict_cfg {states} writes checkpoints in pieces, which no tool '
                         'reads but this one with as many GPUs: take configs/_base_/strategies/fsdp.py')
    return kind
