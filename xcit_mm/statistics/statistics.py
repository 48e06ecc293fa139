"""The interface for statistics, and their registry.

XCiT and UPerHead are local except for two kinds of sums over pixels: the second moment of each block's tokens and the
pooled cells of the head. A network collects the parts of a sum (all rows at once, or band by band), reduces them, and
then gets the result for the rows that it needs. A statistic decides what is summed and how the result varies over the
image.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from mmengine.registry import Registry
from torch import Tensor

from ..errors import InputError

STATISTICS = Registry('statistics of an image')
# Maps a second moment, (B, C + 1, C + 1), to the linear map equivalent to attention: (B, C, C) and (B, 1, C)
ToMap = Callable[[Tensor], tuple[Tensor, Tensor]]


class BlendedMap(NamedTuple):
    """One of the linear maps that make up attention: a token x becomes the sum of ``share * (x @ weight + bias)``.

    Attributes:
        weight: (B, C, C), in the tokens' dtype.
        bias: (B, 1, C).
        share: this map's weight at each token, (B, tokens, 1), or (M, 1) with ``positions``; None stands for 1.
        positions: (M,) indices of the tokens it applies to, after (B, tokens) is flattened; weight and bias then have
            a first dimension of 1. None stands for all tokens.
    """
    weight: Tensor
    bias: Tensor
    share: Tensor | None = None
    positions: Tensor | None = None


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
        """Return the maps to blend into the attention for rows [start, stop) of the token grid; default: all rows."""


class TokenGrid(NamedTuple):
    """The grid of tokens of a batch of images.

    Attributes:
        height, width: in tokens.
        patch_size: pixels along the side of a token.
        padding: left, right, top and bottom margins that lie outside the images, px.
    """
    height: int
    width: int
    patch_size: int
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def inside(self, start: int, stop: int, device: torch.device | None = None) -> Tensor:
        """Return which tokens of rows [start, stop) contain pixels of the image: (stop - start, width) bool."""
        left, right, top, bottom = self.padding
        row, column = torch.arange(start, stop, device=device), torch.arange(self.width, device=device)
        rows = ((row + 1) * self.patch_size > top) & (row * self.patch_size < self.height * self.patch_size - bottom)
        columns = ((column + 1) * self.patch_size > left) & (
            column * self.patch_size < self.width * self.patch_size - right)
        return rows[:, None] & columns


class Pools(ABC):
    """The average-pooled cells of one feature map, laid out as in ``torch.nn.AdaptiveAvgPool2d``."""

    @abstractmethod
    def collect(self, pixels: Tensor, start: int = 0) -> None:
        """Add rows of pixels, (B, rows, W, C), starting at row ``start`` of the map."""

    @abstractmethod
    def reduce(self) -> Tensor:
        """Complete the sums and return the cells, (B, bins, bins, C)."""


class Statistics(ABC):
    """The sums over one batch of images, for one pass through a network.

    Decorate a subclass with ``@STATISTICS.register_module(name=...)`` to make it available by name.
    """

    is_published: ClassVar[bool] = False
    """Whether the plain forward pass of a network computes this statistic."""

    observes: ClassVar[bool] = False
    """Whether ``observe`` needs the tokens, at the cost of one more pass over them."""

    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Left, right, top and bottom margins of the network's input that lie outside the image, px."""

    def begin(self, height: int, width: int, patch_size: int) -> None:
        """Start one pass through a backbone over a grid of ``height`` x ``width`` tokens, before any other call."""
        self.grid = TokenGrid(height, width, patch_size, self.padding)

    def estimate_bytes(self, height: int, width: int, patch_size: int, channels: int) -> float:
        """Estimate the memory that the statistic needs for one image, in bytes; see ``begin`` for the arguments."""
        return 0

    def observe(self, tokens: Tensor, start: int = 0) -> None:
        """Examine the input to the first block before any moment is collected, to decide what to sum.

        Called only if ``observes`` is set.

        Args:
            tokens: (B, N, C), normalised: whole rows of the token grid, in row-major order.
            start: the first of these rows.
        """
        raise NotImplementedError

    @abstractmethod
    def moments(self, block: int, height: int, width: int) -> Moments:
        """Return empty sums for block number ``block`` over a grid of ``height`` x ``width`` tokens.

        Called for each block in order, after ``observe``.
        """

    @abstractmethod
    def pools(self, bins: int, height: int, width: int) -> Pools:
        """Return empty sums for ``bins`` x ``bins`` cells of a map of ``height`` x ``width`` pixels."""


# A statistic: its registered name, its name and arguments, or an instance
Choice = str | Mapping[str, Any] | Statistics


def build_statistics(config: Choice, padding: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Statistics:
    """Build a statistic from its registered name, or from ``dict(type=name, ...)`` with arguments.

    Args:
        config: the name, the name and the arguments, or a statistic, which is used as it is.
        padding: see ``Statistics.padding``.

    Raises:
        InputError: no statistic has this name, or the statistic does not accept these arguments.
    """
    if isinstance(config, Statistics):
        config.padding = padding
        return config
    config = dict(type=config) if isinstance(config, str) else dict(config)
    name = config.get('type')
    if name not in STATISTICS.module_dict:
        raise InputError(f'statistics must be one of {", ".join(STATISTICS.module_dict)}, but is {name!r}')
    try:
        statistics = STATISTICS.module_dict[name](**{key: value for key, value in config.items() if key != 'type'})
    except TypeError as error:
        raise InputError(f'cannot build the statistics {name!r}: {error}') from None
    statistics.padding = padding
    return statistics
