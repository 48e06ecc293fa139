"""Choose between the statistics of the image and those of its kinds of content, by how much the kinds differ."""
from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from ..errors import InputError, describe_value
from .grid import TokenGrid
from .image import ImageMoments, ImagePools, ImageStatistics
from .mixture import Mixture
from .statistics import STATISTICS, BlendedMap, Moments, Statistics, ToMap

# Scenes of one kind of content, and those whose content training crops combine, had a smaller spread; most scenes of
# several kinds had a larger one, and the mixture segmented them better (see docs/statistics.md).
LARGE_SPREAD = 0.23


@STATISTICS.register_module(name='adaptive')
class Adaptive(Statistics):
    """``mixture`` if its spread in the first block is large, and ``image`` otherwise.

    The spread is measured for single images outside of training, so all others use ``image``.

    Args:
        threshold: spreads from this one on are large; with infinity, the spread is measured but not used.

    Raises:
        InputError: ``threshold`` is not a number from 0 on.

    Attributes:
        used: the registered name of the statistic used in the last pass.
    """

    observes, pools_are_published = True, True

    def __init__(self, threshold: float = LARGE_SPREAD) -> None:
        if not (isinstance(threshold, (int, float)) and threshold >= 0):
            raise InputError(f'statistics adaptive needs a number threshold >= 0, but got {describe_value(threshold)}')
        self.threshold, self.mixture = threshold, Mixture()

    def begin(self, height: int, width: int, patch_size: int) -> None:
        super().begin(height, width, patch_size)
        self.image, self.used = ImageStatistics(), 'image'
        for part in (self.image, self.mixture):
            part.padding, part.coverage = self.padding, self.coverage
            part.begin(height, width, patch_size)

    @property
    def spread(self) -> float | None:
        return self.mixture.spread

    def estimate_bytes(self, grid: TokenGrid, channels: int) -> float:
        # A measurement must not make an image too large for the memory.
        return 0 if math.isinf(self.threshold) else self.mixture.estimate_bytes(grid, channels)

    def observe(self, tokens: Tensor, start: int = 0) -> None:
        self.mixture.observe(tokens, start)

    def moments(self, block: int, height: int, width: int) -> Moments:
        if block:
            return (self.mixture if self.used == 'mixture' else self.image).moments(block, height, width)
        return FirstMoments(self, self.image.moments(0, height, width), self.mixture.moments(0, height, width))

    def decide(self) -> None:
        """Decide which statistic to use, once the mixture has measured its spread."""
        self.used = 'mixture' if (self.spread or 0) >= self.threshold else 'image'

    def pools(self, bins: int, height: int, width: int) -> ImagePools:
        return self.image.pools(bins, height, width)


class FirstMoments(Moments):
    """The moments of the first block, of both statistics."""

    def __init__(self, statistics: Adaptive, image: ImageMoments, mixture: Moments) -> None:
        self.statistics, self.image, self.mixture = statistics, image, mixture

    def collect(self, tokens: Tensor, start: int = 0) -> None:
        self.image.collect(tokens, start)
        self.mixture.collect(tokens, start)

    def reduce(self, to_map: ToMap) -> None:
        self.image.reduce(to_map)
        self.mixture.reduce(to_map)
        self.statistics.decide()

    def maps(self, start: int = 0, stop: int | None = None) -> Sequence[BlendedMap]:
        return (self.mixture if self.statistics.used == 'mixture' else self.image).maps(start, stop)
