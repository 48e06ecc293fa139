"""Check whether modules compute what their types say, so that their output can be computed another way."""
from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from types import FunctionType

import torch
import torch.nn.modules.module as torch_module
from torch import nn
from torch.utils.module_tracker import ModuleTracker


def can_bypass(module: nn.Module, *kinds: type) -> bool:
    """Return whether a module's function can be computed without calling the module: no hooks would be skipped."""
    return is_unmodified(module, *kinds) and not has_global_hooks()


def is_unmodified(module: nn.Module, *kinds: type) -> bool:
    """Return whether a module has exactly one of these types, no hooks, no replaced methods and no compiled code.

    Adapters, parametrisations and quantisation change a module's type; pruning and old-style weight norms add hooks;
    wrappers such as Accelerate's replace ``forward`` on the instance, and others replace methods of the class.
    """
    return (type(module) in kinds and not has_hooks(module) and not find_replaced_method(module)
            and getattr(module, '_compiled_call_impl', None) is None)


def find_replaced_method(module: nn.Module) -> str:
    """Return the name of a method that was replaced on a module or in its class after its definition; '' if none was.

    A compiler could not trace the search, so that compiled code looks for a replaced ``forward`` on the module only.
    """
    if torch.compiler.is_compiling():
        return 'forward' if 'forward' in module.__dict__ else ''
    kind = type(module)
    for name, value in vars(module).items():
        if callable(value) and callable(getattr(kind, name, None)):
            return name
    for owner in kind.__mro__[:kind.__mro__.index(nn.Module)]:
        for name, method in vars(owner).items():
            if isinstance(method, FunctionType) and (
                    method.__module__ not in (None, owner.__module__)  # None: defined in exec
                    or method.__qualname__ != f'{owner.__qualname__}.{name}'
                    or name == 'forward' and hasattr(method, '__wrapped__')):
                return name
    return ''


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


def find_modification(module: nn.Module, kinds: Collection[type] | Mapping[str, Collection[type]],
                      skip: Iterable[str] = ()) -> str | None:
    """Return the first part of a module that does not compute what its type implies, along with the reason, or None.

    Args:
        module: the module to check, including all its parts.
        kinds: the expected types, not including their subclasses; or those for each pattern of a part's name.
        skip: names of children to leave out, along with their parts.
    """
    if has_global_hooks():
        return 'hooks are registered for all modules, so the model has hooks'
    skipped = tuple(f'{name}.' for name in skip)
    for name, part in module.named_modules():
        if f'{name}.'.startswith(skipped):
            continue
        expected = kinds
        if isinstance(kinds, Mapping):
            expected = next((types for pattern, types in kinds.items() if re.fullmatch(pattern, name)), ())
        name = name or f'the {type(module).__name__}'
        if type(part) not in expected:
            return f'{name} is a {type(part).__name__}'
        if has_hooks(part):
            return f'{name} has hooks'
        if method := find_replaced_method(part):
            return f'{name} has a patched {method} method'
    return None
