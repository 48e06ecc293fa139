"""Measure how much memory the tensors of an unknown network need, by running it on a small image."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

SIDE = 224  # px, a multiple of the strides and window sizes of most backbones
_MEASURED: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()


def bytes_per_pixel(backbone: nn.Module) -> float:
    """Return the peak memory of a backbone's tensors per image pixel, in bytes, or 0 if the backbone fails here.

    Run the backbone once, on a black image. The result holds for other sizes if memory grows in proportion to the area;
    it is too low for attention between all pairs of tokens. It does not include the kernels' workspace.
    """
    if backbone not in _MEASURED:
        _MEASURED[backbone] = _measure(backbone)
    return _MEASURED[backbone]


@torch.no_grad()
def _measure(backbone: nn.Module) -> float:
    channels = next((part.in_channels for part in backbone.modules() if isinstance(part, nn.Conv2d)), 3)
    try:
        image = next(backbone.parameters()).new_zeros(1, channels, SIDE, SIDE)
        with LiveTensors() as live:
            backbone(image)
    except Exception:  # e.g. the backbone needs another size; a failed estimate must not stop the run
        return 0.0
    return live.peak / SIDE**2


class LiveTensors(TorchDispatchMode):
    """A context that measures the total size, in bytes, of the tensors created in it that exist at the same time.

    Attributes:
        peak: the largest number of bytes so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._sizes: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        given = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = function(*args, **(kwargs or {}))
        self._sizes = {key: entry for key, entry in self._sizes.items() if not entry[0].expired()}
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in given:  # neither a view nor in place
                storage = leaf.untyped_storage()
                self._sizes[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self._sizes.values()))
        return result
