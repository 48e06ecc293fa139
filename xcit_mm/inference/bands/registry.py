"""Run necks and heads in bands of rows, each with the ``BandedModule`` registered for its type."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from torch import nn

from ...errors import InputError
from ...ops.rows import Rows
from ...statistics import Statistics

Run = TypeVar('Run', bound='type[BandedModule]')


class BandedModule(ABC):
    """How to run a neck or head in bands of rows, and how much memory that takes.

    Register a subclass for the exact type of a module, since a subclass of that type may compute something else::

        @run_in_bands(MyHead)
        class BandedMyHead(BandedModule): ...

    Attributes:
        whole_maps: measured peak memory of the head's plain forward pass, in multiples of one map with the head's width
            at its finest stride. Not used for necks.
        band_maps: the same for a band of rows.
    """

    whole_maps: ClassVar[float] = 12.0  # the largest measured value, from mmseg's UPerHead
    band_maps: ClassVar[float] = 6.5

    @abstractmethod
    def check(self, module: Any, levels: int) -> None:
        """Raise ``InputError`` if a module cannot run in bands with its settings.

        Args:
            module: of a registered type.
            levels: number of maps that the backbone returns.
        """

    @abstractmethod
    def run(self, module: Any, levels: Sequence[Rows], statistics: Statistics) -> Any:
        """Return ``module(levels)`` as rows: a list of maps for a neck, a map of logits for a head."""


_REGISTERED: dict[type, BandedModule] = {}


def run_in_bands(*kinds: type) -> Callable[[Run], Run]:
    """Register a ``BandedModule`` for modules whose type is exactly one of ``kinds``."""
    def register(run: Run) -> Run:
        _REGISTERED.update({kind: run() for kind in kinds})
        return run

    return register


def banded(module: nn.Module) -> BandedModule:
    """Return the ``BandedModule`` for a neck or a head.

    Raises:
        InputError: none is registered for its type.
    """
    found = _REGISTERED.get(type(module))
    if found is None:
        known = ', '.join(sorted({kind.__name__ for kind in _REGISTERED}))
        raise InputError(f'{type(module).__name__} cannot run in bands of rows, only {known} can; use mode whole')
    return found


def whole_maps(module: nn.Module) -> float:
    """Return a head's ``whole_maps``, or the largest measured value if its type is not registered."""
    return _REGISTERED[type(module)].whole_maps if type(module) in _REGISTERED else BandedModule.whole_maps
