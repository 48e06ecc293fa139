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

from ..errors import InputError, describe_value
from .grid import TokenGrid

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
    """Whether the plain forward pass of a network computes this statistic where all pixels hold data."""

    pools_are_published: ClassVar[bool] = False
    """Whether ``pools`` computes plain average pooling where all pixels hold data."""

    observes: ClassVar[bool] = False
    """Whether ``observe`` needs the tokens, at the cost of one more pass over them."""

    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Left, right, top and bottom margins of the network's input that lie outside the image, px."""

    crop: tuple[int, int] | None = None
    """Height and width of the training crops, px, if known."""

    coverage: Tensor | None = None
    """Share of the pixels that hold data in each block of 4 x 4 px, (ceil(H / 4), ceil(W / 4)); None if all do."""

    used: str | None = None
    """Registered name of the statistic used in the last pass, if this one chooses another during the pass."""

    def begin(self, height: int, width: int, patch_size: int) -> None:
        """Start one pass through a backbone, before any other call.

        Args:
            height, width: of the network's input, px.
            patch_size: pixels along the side of a token.
        """
        self.grid = TokenGrid((height, width), patch_size, self.padding).with_coverage(self.coverage)

    @property
    def is_plain(self) -> bool:
        """Whether the plain forward pass of a network computes the sums over this batch."""
        return self.is_published and self.coverage is None

    @property
    def pools_are_plain(self) -> bool:
        """Whether a head's own pooling computes the cells of this batch."""
        return self.pools_are_published and self.coverage is None

    @property
    def spread(self) -> float | None:
        """Distance of the first block's maps from the whole image's, relative to their size, in the last pass."""
        return None

    def estimate_bytes(self, grid: TokenGrid, channels: int) -> float:
        """Estimate the memory that the statistic needs for one image with tokens of ``channels`` channels, in bytes."""
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

        Called for each block in order, after ``observe`` and once the previous block's moments have been reduced.
        """

    @abstractmethod
    def pools(self, bins: int, height: int, width: int) -> Pools:
        """Return empty sums for ``bins`` x ``bins`` cells of a map of ``height`` x ``width`` pixels."""


# A statistic: its registered name, its name and arguments, or an instance
Choice = str | Mapping[str, Any] | Statistics


def build_statistics(config: Choice, padding: tuple[int, int, int, int] = (0, 0, 0, 0),
                     crop: tuple[int, int] | None = None, coverage: Tensor | None = None) -> Statistics:
    """Build a statistic from its registered name, or from ``dict(type=name, ...)`` with arguments.

    Args:
        config: the name, the name and the arguments, or a statistic, which is used as it is.
        padding, crop, coverage: see ``Statistics``.

    Raises:
        InputError: no statistic has this name, or the statistic does not accept these arguments.
    """
    if isinstance(config, Statistics):
        config.padding, config.crop, config.coverage = padding, crop, coverage
        return config
    config = dict(config) if isinstance(config, Mapping) else dict(type=config)
    name = config.get('type')
    if not isinstance(name, str) or name not in STATISTICS.module_dict:
        raise InputError(f'statistics must be one of {", ".join(STATISTICS.module_dict)}, by name or as '
                         f'dict(type=name, ...), but got {describe_value(name)}')
    try:
        statistics = STATISTICS.module_dict[name](**{key: value for key, value in config.items() if key != 'type'})
    except TypeError as error:
        raise InputError(f'cannot build the statistics {name!r}: {error}') from None
    statistics.padding, statistics.crop, statistics.coverage = padding, crop, coverage
    return statistics


def for_forward(given: Statistics | None, configured: Choice | None) -> Statistics | None:
    """Return the statistics for a plain forward pass, or None for the published ones, which need no object.

    Args:
        given: passed to the forward pass; takes precedence.
        configured: the backbone's own.

    Raises:
        InputError: a trace, which FLOP counters use too, cannot contain these statistics.
    """
    statistics = build_statistics(configured) if given is None and configured else given
    if statistics is None or statistics.is_plain:
        return None
    if torch.jit.is_tracing():
        raise InputError('a trace sums over the image, as published; remove statistics from the backbone to trace it '
                         'or to count its FLOPs')
    return statistics
