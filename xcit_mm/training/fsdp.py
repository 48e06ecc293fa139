"""Sharded training (FSDP) as MMEngine has it, with XCiT's blocks as shards, and put right in two places."""
from __future__ import annotations

from mmengine._strategy import FSDPStrategy
from mmengine.optim import BaseOptimWrapper, OptimWrapper
from mmengine.registry import FUNCTIONS, STRATEGIES
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from ..layers import XCiTBlock


@STRATEGIES.register_module()
class CorrectedFSDPStrategy(FSDPStrategy):
    """MMEngine's strategy, which clips by the norm of each process's own pieces and cannot resume on today's torch."""

    def build_optim_wrapper(self, optim_wrapper: dict | BaseOptimWrapper, model: FullyShardedDataParallel | None = None
                            ) -> BaseOptimWrapper:
        """Build it as MMEngine does, but clip gradients by the norm of all pieces."""
        wrapper = super().build_optim_wrapper(optim_wrapper, model)
        if isinstance(wrapper, OptimWrapper) and wrapper.clip_func is nn.utils.clip_grad_norm_ and model is not None:
            def clip(parameters: list[Tensor], **limits: float) -> Tensor:
                return model.clip_grad_norm_(**limits)

            wrapper.clip_func = clip
        return wrapper

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Give each process its piece of a whole state of the optimizer; torch has changed the order of arguments."""
        self.optim_wrapper.load_state_dict(FullyShardedDataParallel.optim_state_dict_to_load(
            model=self.model, optim=self.optim_wrapper.optimizer, optim_state_dict=state_dict))


def each_xcit_block(module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
    """Policy of FSDP's wrapping: a shard for each block, and one for all the rest."""
    return recurse or isinstance(module, XCiTBlock)


FUNCTIONS.register_module(module=each_xcit_block)
