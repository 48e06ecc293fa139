"""The published statistic, plus a measure of how much it mixes different kinds of content."""
from __future__ import annotations

from torch import Tensor

from .image import ImageMoments, ImageStatistics
from .mixture import Mixture
from .statistics import Moments, ToMap


class WatchedImage(ImageStatistics):
    """Sums over the whole image; in the first block, also the moments of the kinds that ``Mixture`` would find.

    ``spread`` is that of the mixture.
    """

    is_published, observes = False, True

    def begin(self, height: int, width: int, patch_size: int) -> None:
        self.mixture = Mixture()
        self.mixture.padding = self.padding
        self.mixture.begin(height, width, patch_size)

    @property
    def spread(self) -> float | None:
        return self.mixture.spread

    def observe(self, tokens: Tensor, start: int = 0) -> None:
        self.mixture.observe(tokens, start)

    def moments(self, block: int, height: int, width: int) -> ImageMoments:
        return super().moments(block, height, width) if block else WatchedMoments(
            self.mixture.moments(block, height, width))


class WatchedMoments(ImageMoments):
    """The image's moments; the moments of its kinds are collected too, but not used."""

    def __init__(self, kinds: Moments) -> None:
        super().__init__()
        self.kinds = kinds

    def collect(self, tokens: Tensor, start: int = 0) -> None:
        super().collect(tokens, start)
        self.kinds.collect(tokens, start)

    def reduce(self, to_map: ToMap) -> None:
        super().reduce(to_map)
        self.kinds.reduce(to_map)
