"""Save less for the backward pass: outputs of norms and GELUs are computed again, from what went into them."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial, reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from .modification import can_bypass
from .recording import is_symbolic

Step = Callable[[Tensor], Tensor]


def saves_less() -> bool:
    """Return whether it is possible and worthwhile to save less: autograd records eager operations.

    Compilers decide by themselves what to compute again, a trace must stay as simple as the network, and the transforms
    of ``torch.func`` do not allow saved-tensor hooks.
    """
    return torch.is_grad_enabled() and not is_symbolic() and not _is_transformed()


def run_chain(x: Tensor, *steps: Step) -> Tensor:
    """Run modules or functions one after another: return ``steps[-1](… steps[0](x))``.

    Outputs of plain norms and GELUs are not saved for the backward pass. They are computed again whenever it needs
    them, from the last output before them of any other step. Gradients do not change, not even in rounding.
    """
    if not saves_less():
        return reduce(lambda value, step: step(value), steps, x)
    source, cheap = x, list[Step]()
    tensors: list[Tensor | None] = []
    for step in steps:
        with _Recipe(x, source, cheap, tensors).hooks() if cheap else nullcontext():
            x = step(x)
        if function := _without_side_effects(step):
            cheap, tensors = [*cheap, function], [*tensors, *step._parameters.values()]  # type: ignore[attr-defined]
        else:
            source, cheap, tensors = x, [], []
    return x


def _without_side_effects(step: Step) -> Step | None:
    """Return the function that a cheap module computes now, or None for any other step."""
    if not isinstance(step, nn.Module):
        return None
    if can_bypass(step, nn.GELU, nn.LayerNorm):
        return step.forward
    if can_bypass(step, nn.BatchNorm2d):  # calling it again would count the batch twice
        of_batch = step.training or step.running_mean is None
        mean, variance = (None, None) if of_batch else (step.running_mean, step.running_var)
        return partial(F.batch_norm, running_mean=mean, running_var=variance, weight=step.weight, bias=step.bias,
                       training=of_batch, eps=step.eps)
    return None


class _Recipe:
    """How to compute a tensor again.

    Args:
        result: the tensor.
        source, steps: the result is ``steps[-1](… steps[0](source))``.
        parameters: those of the steps. As usual, it is an error to modify them before the backward pass.
    """

    def __init__(self, result: Tensor, source: Tensor, steps: Sequence[Step], parameters: Sequence[Tensor | None]
                 ) -> None:
        self.kept, self.steps, device = _keep(source, *parameters), steps, result.device.type
        self.storage, self.stride = result.untyped_storage()._cdata, result.stride()
        self.autocast = partial(torch.autocast, device, torch.get_autocast_dtype(device),
                                torch.is_autocast_enabled(device))

    def hooks(self) -> saved_tensors_hooks:
        """Return a context in which autograd saves this recipe in place of the tensor and of its views."""
        return saved_tensors_hooks(self.pack, self.unpack)

    def pack(self, tensor: Tensor) -> Any:
        if tensor.untyped_storage()._cdata == self.storage:
            return tensor.size(), tensor.stride(), tensor.storage_offset()
        # Torch calls only the innermost hooks. Let the enclosing ones, such as those of a checkpoint, save the tensor.
        hooks = self.hooks()
        hooks.__exit__()
        try:
            return _keep(tensor)
        finally:
            hooks.__enter__()

    def unpack(self, packed: Any) -> Tensor:
        if not isinstance(packed, tuple):
            return packed.saved_tensors[0]
        source, *_ = self.kept.saved_tensors
        with torch.no_grad(), self.autocast():
            result = reduce(lambda value, step: step(value), self.steps, source)
        if result.stride() != self.stride:  # hooks that move tensors to the CPU change the layout of the source
            result = torch.empty_strided(result.shape, self.stride, dtype=result.dtype,
                                         device=result.device).copy_(result)
        return result.as_strided(*packed)


class _Keep(torch.autograd.Function):
    """A node of the graph that only saves tensors, so that enclosing hooks and checks for modifications apply."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, *tensors: Tensor | None) -> Tensor:
        ctx.save_for_backward(*tensors)
        return anchor.clone()


def _keep(*tensors: Tensor | None) -> Any:
    with torch.enable_grad():  # hooks run without
        return _Keep.apply(torch.empty(0, requires_grad=True), *tensors).grad_fn


def _is_transformed() -> bool:
    return torch._C._functorch.maybe_current_level() is not None
