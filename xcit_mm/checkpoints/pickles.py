"""Handle what pickled checkpoints contain besides tensors: harmless classes, whole models and missing classes."""
from __future__ import annotations

import argparse
import mmap
import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor, nn


def harmless_classes() -> torch.serialization.safe_globals:
    """Return a context manager that lets torch unpickle the harmless classes in MMEngine's and the authors' files."""
    multiarray = (getattr(np, '_core', None) or np.core).multiarray
    dtypes = {type(np.dtype(code)) for code in '?bhilqBHILQefd'}
    # numpy 2 renamed numpy.core, and files of both versions exist.
    arrays = [(getattr(multiarray, name), f'numpy.{core}.multiarray.{name}')
              for name in ('scalar', '_reconstruct') for core in ('core', '_core')]
    return torch.serialization.safe_globals([
        HistoryBuffer, argparse.Namespace, np.ndarray, np.dtype, *dtypes, *arrays,
        (_get_statistic, 'builtins.getattr')
    ])


def _get_statistic(owner: object, name: str) -> object:
    """Stand in for ``getattr``, which pickled HistoryBuffers use to look up their methods; refuse everything else."""
    if (owner is HistoryBuffer or isinstance(owner, HistoryBuffer)) and not name.startswith('__'):
        return getattr(owner, name)
    raise pickle.UnpicklingError('Unsupported global: GLOBAL builtins.getattr')


class Placeholder(dict):
    """An object whose class is not installed: it keeps its attributes and items, but none of the class's methods."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        if isinstance(state, Mapping):
            vars(self).update(state)

    def append(self, item: object) -> None:
        """Ignore a list item."""

    def extend(self, items: object) -> None:
        """Ignore list items."""


class Tolerant:
    """A pickle module for trusted files: classes that cannot be imported become placeholders."""

    load = staticmethod(pickle.load)

    class Unpickler(pickle.Unpickler):
        """An unpickler that finds a class for every name."""

        def find_class(self, module: str, name: str) -> object:
            """Return a class, or a placeholder if it cannot be imported."""
            try:
                return super().find_class(module, name)
            except (ImportError, AttributeError):
                return type(name, (Placeholder, ), {'__module__': module})


def holds_modules(path: Path) -> bool:
    """Return whether a pickle file mentions ``torch.nn`` classes, as whole models do; none of the code in it is run."""
    with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b'torch.nn.modules.') >= 0


def replace_modules(content: object) -> object:
    """Replace pickled models in the content of a trusted file with their state dicts."""
    if isinstance(content, torch.jit.ScriptModule):
        return content.state_dict()
    if isinstance(content, (nn.Module, Placeholder)) and '_modules' in vars(content):
        return _state_dict(content)
    if isinstance(content, dict):  # in place, because an OrderedDict may have metadata
        for key, value in content.items():
            content[key] = replace_modules(value)
    return content


def _state_dict(module: nn.Module | Placeholder, prefix: str = '') -> dict[str, Tensor]:
    """Return what ``state_dict`` would, without calling any methods, because a placeholder has none."""
    parts = vars(module)
    passing = parts.get('_non_persistent_buffers_set', ())
    buffers = {name: value for name, value in parts.get('_buffers', {}).items() if name not in passing}
    own = {prefix + name: value.detach() for name, value in (parts.get('_parameters', {}) | buffers).items()
           if value is not None}
    for name, child in parts.get('_modules', {}).items():
        if child is not None:
            own |= _state_dict(child, f'{prefix}{name}.')
    return own
