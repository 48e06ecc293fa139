"""Sharded training (FSDP): MMEngine's strategy with two fixes, and a wrapping policy for XCiT blocks."""
from __future__ import annotations

from mmengine._strategy import FSDPStrategy
from mmengine.optim import BaseOptimWrapper, OptimWrapper
from mmengine.registry import FUNCTIONS, STRATEGIES
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from ..layers import XCiTBlock


@STRATEGIES.register_module()
class CorrectedFSDPStrategy(FSDPStrategy):
    """FSDP strategy that clips gradients by their global norm and can resume.

    MMEngine's strategy clips by the norm of each process's own shards and fails to resume with current versions of
    torch.
    """

    def build_optim_wrapper(self, optim_wrapper: dict | BaseOptimWrapper, model: FullyShardedDataParallel | None = None
                            ) -> BaseOptimWrapper:
        """Build the wrapper as MMEngine does, but clip gradients by the norm over all shards."""
        wrapper = super().build_optim_wrapper(optim_wrapper, model)
        if isinstance(wrapper, OptimWrapper) and wrapper.clip_func is nn.utils.clip_grad_norm_ and model is not None:
            def clip(parameters: list[Tensor], **limits: float) -> Tensor:
                return model.clip_grad_norm_(**limits)

            wrapper.clip_func = clip
        return wrapper

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load each process's shard of a full optimizer state.

        MMEngine passes the arguments by position, in an order that torch has since changed.
        """
        self.optim_wrapper.load_state_dict(FullyShardedDataParallel.optim_state_dict_to_load(
            model=self.model, optim=self.optim_wrapper.optimizer, optim_state_dict=state_dict))


def each_xcit_block(module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
    """Tell FSDP what to wrap: each block is one unit, and everything else together forms another."""
    return recurse or isinstance(module, XCiTBlock)


FUNCTIONS.register_module(module=each_xcit_block)
