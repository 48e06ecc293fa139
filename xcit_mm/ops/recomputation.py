"""Recompute a block in the backward pass instead of storing its activations."""
from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def run_recomputed(block: nn.Module, run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return ``run(x)``, where ``run`` calls a block, and store only x for the backward pass."""
    if torch.compiler.is_compiling():  # a compiled graph updates running statistics only once
        return checkpoint(run, x, use_reentrant=False)
    return checkpoint(run, x, use_reentrant=False,
                      context_fn=lambda: (nullcontext(), _FrozenRunningStatistics(block)))


class _FrozenRunningStatistics:
    """A context that keeps running statistics unchanged, so that recomputing a block does not count its batch twice.

    Torch enters it once per backward pass through the block.
    """

    def __init__(self, block: nn.Module) -> None:
        self.norms = [norm for norm in block.modules() if isinstance(norm, _BatchNorm) and norm.track_running_stats]

    def __enter__(self) -> None:
        self.before = [(norm, norm.momentum, counter, counter.clone()) for norm in self.norms
                       if (counter := norm.num_batches_tracked) is not None]
        for norm, *_ in self.before:
            norm.momentum = 0.0

    def __exit__(self, *exception: object) -> None:
        for norm, momentum, counter, number in self.before:
            norm.momentum = momentum
            counter.copy_(number)
