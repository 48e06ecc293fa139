"""The interface of a statistic, and its registry.

An XCiT and a UPerHead are local except for two kinds of sum over pixels: the second moment of each block's tokens and
the pooled cells of the head. A network collects the parts of a sum (all rows at once, or band by band), reduces them,
and asks what follows from the sum for given rows. A statistic decides what is summed and how the result varies over
the image.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from mmengine.registry import Registry
from torch import Tensor

from ..errors import InputError

STATISTICS = Registry('statistics of an image')
# From a second moment (B, C + 1, C + 1) to the linear map that attention becomes: (B, C, C) and (B, 1, C)
ToMap = Callable[[Tensor], tuple[Tensor, Tensor]]


class BlendedMap(NamedTuple):
    """One of the linear maps that make up attention: a token x becomes the sum of ``share * (x @ weight + bias)``.

    Attributes:
        weight: (B, C, C), in the dtype of the tokens.
        bias: (B, 1, C).
        share: (B, tokens, 1), the weight of this map at each token; None stands for 1.
    """
    weight: Tensor
    bias: Tensor
    share: Tensor | None = None


class Moments(ABC):
    """The second moments of the tokens that one block attends over."""

    @abstractmethod
    def collect(self, tokens: Tensor, start: int = 0) -> None:
        """Add tokens to the sums.

        Args:
            tokens: (B, N, C), normalised: whole rows of the token grid, in row-major order.
            start: the first of these rows.
        """

    @abstractmethod
    def reduce(self, to_map: ToMap) -> None:
        """Complete the sums and turn each moment into a linear map; called once, after the last ``collect``."""

    @abstractmethod
    def maps(self, start: int = 0, stop: int | None = None) -> Sequence[BlendedMap]:
        """Return the maps whose blend is the attention of rows [start, stop) of the token grid; default: all rows."""


class Pools(ABC):
    """The average-pooled cells of one feature map, as ``torch.nn.AdaptiveAvgPool2d`` lays them out."""

    @abstractmethod
    def collect(self, pixels: Tensor, start: int = 0) -> None:
        """Add rows of pixels, (B, rows, W, C), the first of which is row ``start`` of the map."""

    @abstractmethod
    def reduce(self) -> Tensor:
        """Complete the sums and return the cells, (B, bins, bins, C)."""


class Statistics(ABC):
    """The sums over one batch of images, for one pass through a network.

    A subclass becomes available by name with ``@STATISTICS.register_module(name=...)``.
    """

    is_published: ClassVar[bool] = False
    """Whether the plain forward pass of a network computes this statistic."""

    observes: ClassVar[bool] = False
    """Whether ``observe`` needs the tokens, at the cost of one more pass over them."""

    def observe(self, tokens: Tensor, start: int = 0) -> None:
        """Look at the input of the first block before any moment is collected, to find out what to sum.

        Called only if ``observes`` is set.

        Args:
            tokens: (B, N, C), normalised: whole rows of the token grid, in row-major order.
            start: the first of these rows.
        """
        raise NotImplementedError

    @abstractmethod
    def moments(self, block: int, height: int, width: int) -> Moments:
        """Return empty sums for block number ``block`` over a grid of ``height`` x ``width`` tokens.

        Called in the order of the blocks, after ``observe``.
        """

    @abstractmethod
    def pools(self, bins: int, height: int, width: int) -> Pools:
        """Return empty sums for ``bins`` x ``bins`` cells of a map of ``height`` x ``width`` pixels."""


def build_statistics(config: str | Mapping[str, Any]) -> Statistics:
    """Build a statistic from its registered name, or from ``dict(type=name, ...)`` with arguments.

    Raises:
        InputError: no statistic has this name, or it does not take these arguments.
    """
    config = dict(type=config) if isinstance(config, str) else dict(config)
    name = config.get('type')
    if name not in STATISTICS.module_dict:
        raise InputError(f'statistics must be one of {", ".join(STATISTICS.module_dict)}, but is {name!r}')
    try:
        return STATISTICS.module_dict[name](**{key: value for key, value in config.items() if key != 'type'})
    except TypeError as error:
        raise InputError(f'cannot build the statistics {name!r}: {error}') from None
