"""Full precision, even where the user allows less."""
from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from .recording import is_symbolic


def full_precision(device: torch.device) -> AbstractContextManager:
    """Return a context in which autocast is off and float32 matrix multiplications run in float32.

    Users can allow TensorFloat32 or bfloat16 for these multiplications, through ``torch.set_float32_matmul_precision``,
    ``allow_tf32`` or ``fp32_precision``. A compiled, exported or traced graph cannot contain these settings, so there
    the context only turns off autocast.
    """
    without_autocast = torch.autocast(device.type, enabled=False)
    return without_autocast if is_symbolic() else _FullPrecision(without_autocast)


def is_half_precision(x: Tensor) -> bool:
    """Return whether products with x are computed in half precision, in which a small layer scale would underflow."""
    return torch.is_autocast_enabled(x.device.type) or x.dtype.itemsize < 4


def at_least_float32(x: Tensor) -> Tensor:
    """Convert half precision to float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def widest_dtype(device: torch.device) -> torch.dtype:
    """Return the most precise float dtype that a device supports."""
    return torch.float32 if device.type == 'mps' else torch.float64


class MatmulSettings:
    """Torch's process-wide settings for float32 matrix multiplication.

    Torch 2.9 added one setting for each backend to the older one for all backends. Setting the older one also sets the
    new ones, but not vice versa, and reading the older one fails while the new ones contradict it.

    Args:
        backends: the objects whose ``fp32_precision`` is the new setting; none before torch 2.9.
    """

    def __init__(self, backends: Sequence[Any]) -> None:
        self.backends = backends
        self.lock, self.users = threading.Lock(), 0
        self.before: tuple[str, list[str]] | None = None  # None if nothing had to change

    def override(self) -> None:
        """Set full precision, unless another thread has already done so."""
        with self.lock:
            if self.users == 0:
                self.before = self._set_full()
            self.users += 1

    def restore(self) -> None:
        """Restore the user's settings once every thread that called ``override`` has called this."""
        with self.lock:
            self.users -= 1
            if self.users == 0 and self.before:
                self._reset(*self.before)

    def _set_full(self) -> tuple[str, list[str]] | None:
        precisions = [backend.fp32_precision for backend in self.backends]
        if precisions and not {'tf32', 'bf16'}.intersection(precisions):
            return None
        for backend in self.backends:
            backend.fp32_precision = 'ieee'
        overall = torch.get_float32_matmul_precision()
        if overall != 'highest':
            torch.set_float32_matmul_precision('highest')
        return overall, precisions

    def _reset(self, overall: str, precisions: list[str]) -> None:
        if overall != 'highest':
            torch.set_float32_matmul_precision(overall)
        for backend, precision in zip(self.backends, precisions):
            backend.fp32_precision = 'none'  # follow torch.backends.fp32_precision
            if backend.fp32_precision != precision:
                backend.fp32_precision = precision


# oneDNN's convolutions compute some of the products (see ``products``).
_BACKENDS = [getattr(torch.backends.cuda, 'matmul', None), *(
    getattr(torch.backends.mkldnn, name, None) for name in ('matmul', 'conv'))]
_SETTINGS = MatmulSettings([backend for backend in _BACKENDS if hasattr(backend, 'fp32_precision')])


class _FullPrecision:
    """The context that ``full_precision`` returns outside graphs."""

    def __init__(self, without_autocast: torch.autocast) -> None:
        self.without_autocast = without_autocast

    def __enter__(self) -> None:
        self.without_autocast.__enter__()
        _SETTINGS.override()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        _SETTINGS.restore()
        self.without_autocast.__exit__(kind, error, traceback)
