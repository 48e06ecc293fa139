"""Check whether modules compute what their types say, so that their output can be computed another way."""
from __future__ import annotations

from collections.abc import Collection, Iterable

import torch.nn.modules.module as torch_module
from torch import nn
from torch.utils.module_tracker import ModuleTracker


def can_bypass(module: nn.Module, *kinds: type) -> bool:
    """Return whether a module's function can be computed without calling the module: no hooks would be skipped."""
    return is_unmodified(module, *kinds) and not has_global_hooks()


def is_unmodified(module: nn.Module, *kinds: type) -> bool:
    """Return whether a module has exactly one of these types, no hooks, no own ``forward`` and no compiled code.

    Adapters, parametrisations and quantisation change a module's type; pruning and old-style weight norms add hooks;
    wrappers such as Accelerate's replace ``forward`` on the instance.
    """
    return (type(module) in kinds and not has_hooks(module) and 'forward' not in module.__dict__
            and getattr(module, '_compiled_call_impl', None) is None)


def has_hooks(module: nn.Module) -> bool:
    """Return whether hooks run when a module is called."""
    return bool(module._forward_pre_hooks or module._forward_hooks or module._backward_pre_hooks
                or module._backward_hooks)


def has_global_hooks() -> bool:
    """Return whether hooks run on every module call, apart from those torch uses to track which module is running.

    ``FlopCounterMode`` registers such tracking hooks; it counts operations wherever they run.
    """
    hooks = (hook for registered in (
        torch_module._global_forward_pre_hooks, torch_module._global_forward_hooks,
        torch_module._global_backward_pre_hooks, torch_module._global_backward_hooks) for hook in registered.values())
    return any(not isinstance(getattr(hook, '__self__', None), ModuleTracker) for hook in hooks)


def find_modification(module: nn.Module, kinds: Collection[type], skip: Iterable[str] = ()) -> str | None:
    """Return the first part of a module that does not compute what its type implies, along with the reason, or None.

    Args:
        module: the module to check, including all its parts.
        kinds: the expected types, not including their subclasses.
        skip: names of children to leave out, along with their parts.
    """
    if has_global_hooks():
        return 'hooks are registered for all modules, so the model has hooks'
    skipped = tuple(f'{name}.' for name in skip)
    for name, part in module.named_modules():
        if f'{name}.'.startswith(skipped):
            continue
        name = name or f'the {type(module).__name__}'
        if type(part) not in kinds:
            return f'{name} is a {type(part).__name__}'
        if has_hooks(part):
            return f'{name} has hooks'
        if 'forward' in part.__dict__:
            return f'{name} has a patched forward method'
    return None
