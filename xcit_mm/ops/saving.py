"""Save less for the backward pass: outputs of norms and GELUs are computed again, from what went into them."""
from __future__ import annotations

import math
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
# Number of elements from which a map counts as large. Smaller maps need little memory, and the Python code of a chain
# takes a fraction of a millisecond, which would slow training down; on a GPU, longer kernels hide it.
LARGE, LARGE_ON_GPU = 1 << 18, 1 << 22


def saves_less(x: Tensor) -> bool:
    """Return whether it is possible and worthwhile to save less: autograd records eager operations on a large map.

    A compiler decides by itself what to compute again, a trace must stay as simple as the network, and the transforms
    of ``torch.func`` do not allow saved-tensor hooks.
    """
    if not torch.is_grad_enabled() or is_symbolic() or torch._C._functorch.maybe_current_level() is not None:
        return False
    return x.numel() >= dict(cpu=LARGE, cuda=LARGE_ON_GPU).get(x.device.type, math.inf)


def run_chain(x: Tensor, *steps: Step) -> Tensor:
    """Run modules or functions one after another: return ``steps[-1](… steps[0](x))``.

    If x is large, the outputs of plain norms and GELUs are not saved for the backward pass. Whenever it needs one, it
    computes it again from the last preceding output of any other step. Gradients do not change, not even in rounding.
    """
    if not saves_less(x):
        return reduce(lambda value, step: step(value), steps, x)
    source, cheap, parameters = x, list[Step](), list[Tensor]()
    for step in steps:
        saved = cheap and x.requires_grad
        with _Recipe(x, source, cheap, parameters) if saved else nullcontext():
            x = step(x)
        if isinstance(step, nn.Module) and (function := _without_side_effects(step)):
            cheap, parameters = [*cheap, function], [*parameters, *step.parameters()]
        else:
            source, cheap, parameters = x, [], []
    return x


def _without_side_effects(module: nn.Module) -> Step | None:
    """Return the function that a cheap module computes now, or None for any other module."""
    # Bind the parameters now: after torch.func.functional_call, the module has others.
    if isinstance(module, nn.GELU) and can_bypass(module, nn.GELU):
        return partial(F.gelu, approximate=module.approximate)
    if isinstance(module, nn.LayerNorm) and can_bypass(module, nn.LayerNorm):
        return partial(F.layer_norm, normalized_shape=module.normalized_shape, weight=module.weight, bias=module.bias,
                       eps=module.eps)
    if not isinstance(module, nn.BatchNorm2d) or not can_bypass(module, nn.BatchNorm2d):
        return None
    # A second call of the module would count the batch twice.
    of_batch = module.training or module.running_mean is None
    mean, variance = (None, None) if of_batch else (module.running_mean, module.running_var)
    return partial(F.batch_norm, running_mean=mean, running_var=variance, weight=module.weight, bias=module.bias,
                   training=of_batch, eps=module.eps)


class _Recipe:
    """A context in which autograd saves how to compute a tensor again, in place of the tensor and its views.

    Args:
        result: the tensor.
        source, steps: the result is ``steps[-1](… steps[0](source))``.
        parameters: those of the steps.
    """

    def __init__(self, result: Tensor, source: Tensor, steps: Sequence[Step], parameters: Sequence[Tensor]) -> None:
        self.tensors: tuple[Tensor, ...] = (source, *parameters)
        self.steps, self.version = steps, result._version
        self.storage, self.stride, device = result.untyped_storage()._cdata, result.stride(), result.device.type
        self.autocast = partial(torch.autocast, device, torch.get_autocast_dtype(device),
                                torch.is_autocast_enabled(device))

    def __enter__(self) -> None:
        self.hooks().__enter__()

    def __exit__(self, *exception: object) -> None:
        self.hooks().__exit__()
        self.tensors = ()  # autograd never lets go of a hook, which would keep them in memory

    def hooks(self) -> saved_tensors_hooks:
        return saved_tensors_hooks(self.pack, _unpack)

    def pack(self, tensor: Tensor) -> Any:
        # A step may have changed the result in place.
        matches = tensor.untyped_storage()._cdata == self.storage and tensor._version == self.version
        hooks = self.hooks()
        hooks.__exit__()  # torch calls only the innermost hooks, but the enclosing ones must save everything
        try:
            if not matches:
                # A node's own output would keep that node alive; a parameter or a view of one has no such node.
                root = tensor if tensor._base is None else tensor._base
                return _keep(tensor if root.is_leaf else tensor.detach()), lambda kept: kept
            # A checkpoint returns a saved tensor only once, so that every use of the result saves the source anew.
            return _keep(*self.tensors), partial(_compute_again, self.steps, self.autocast, self.stride,
                                                 (tensor.size(), tensor.stride(), tensor.storage_offset()))
        finally:
            hooks.__enter__()


def _unpack(packed: Any) -> Tensor:
    tensors, function = packed
    return function(*tensors())


def _compute_again(steps: Sequence[Step], autocast: Callable[[], torch.autocast], stride: Sequence[int], view: tuple,
                   source: Tensor, *parameters: Tensor) -> Tensor:
    """Return a view (size, stride and offset) of the result of a recipe."""
    with torch.no_grad(), autocast():
        result = reduce(lambda value, step: step(value), steps, source)
    if result.stride() != stride:  # hooks that move tensors to another device can change the source's layout
        result = torch.empty_strided(result.shape, stride, dtype=result.dtype, device=result.device).copy_(result)
    return result.as_strided(*view)


def _keep(*tensors: Tensor) -> Callable[[], Sequence[Tensor]]:
    """Save tensors as autograd does, and return a function that returns them unless they were modified since."""
    if _has_hooks():
        with torch.enable_grad():
            node = _Keep.apply(torch.empty(0, requires_grad=True), *tensors).grad_fn
        return lambda: node.saved_tensors
    versions = [tensor._version for tensor in tensors]

    def unmodified() -> Sequence[Tensor]:
        if [tensor._version for tensor in tensors] != versions:
            raise RuntimeError('a tensor that the backward pass needs has been modified in place')
        return tensors

    return unmodified


def _has_hooks() -> bool:
    """Return whether there are saved-tensor hooks, such as those of a checkpoint. Before 2.8, torch does not tell."""
    find_hooks = getattr(torch._C._autograd, '_top_saved_tensors_default_hooks', None)
    return find_hooks is None or find_hooks(False) is not None


class _Keep(torch.autograd.Function):
    """A node of the graph that only saves tensors, so that enclosing hooks apply to them."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        return anchor.clone()
