"""Second moments of groups of tokens, and attention that blends the groups' maps at each token."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..ops.precision import widest_dtype
from ..ops.recording import is_recorded
from ..ops.second_moment import second_moment
from .image import FEW_TOKENS, ImagePools
from .statistics import BlendedMap, Moments, Pools, Statistics, ToMap

MAPS_AT_ONCE = 32  # groups whose maps are computed in one batch, to limit memory


class Members(NamedTuple):
    """The tokens of one group within a band of rows.

    Attributes:
        group: the number of the group.
        positions: (M,) indices of its tokens after (B, N) is flattened; None stands for all tokens.
        weight: (M, 1), from 0 to 1; None stands for 1.
    """
    group: int
    positions: Tensor | None = None
    weight: Tensor | None = None


class Groups(ABC):
    """A soft assignment of a batch's tokens to groups; all tokens in a group come from the same image."""

    @abstractmethod
    def summed(self, batch: int, start: int, stop: int) -> Iterable[Members]:
        """Return the parts to sum over rows [start, stop) of the token grid, with each token's weight in the sum."""

    @abstractmethod
    def blended(self, batch: int, start: int, stop: int) -> Iterable[Members]:
        """Return the groups whose maps apply to rows [start, stop), with their shares; a token's shares sum to 1."""

    @abstractmethod
    def combine(self, parts: dict[int, Tensor]) -> dict[int, Tensor]:
        """Return each group's moment, (C + 1, C + 1), from the moments of the parts."""


class GroupedStatistics(Statistics):
    """A statistic with one moment for each group of tokens; UPerHead's pooled cells still cover the whole image."""

    pools_are_published = True
    measured: Tensor | None = None  # the spread of the last pass

    def begin(self, height: int, width: int, patch_size: int) -> None:
        super().begin(height, width, patch_size)
        self.measured = None

    @property
    def spread(self) -> float | None:
        return None if self.measured is None else float(self.measured)

    def grouped_moments(self, groups: Groups, block: int, width: int) -> GroupedMoments:
        """Return empty sums for a block; those of the first block measure the spread."""
        return GroupedMoments(groups, width, None if block else partial(setattr, self, 'measured'))

    def pools(self, bins: int, height: int, width: int) -> Pools:
        return ImagePools(bins, height, width, self.coverage)


class GroupedMoments(Moments):
    """One second moment for each group of tokens.

    Args:
        groups: treated as constant by autograd; gradients flow through the moments only.
        width: width of the token grid.
        report_spread: for a single image outside of training, called with the distance of the groups' maps from the
            map of the image.
    """

    def __init__(self, groups: Groups, width: int, report_spread: Callable[[Tensor], None] | None) -> None:
        self.groups, self.width, self.report_spread = groups, width, report_spread
        self.parts: dict[int, Tensor] = {}

    def collect(self, tokens: Tensor, start: int = 0) -> None:
        self.batch, self.stop, self.like = len(tokens), start + tokens.shape[1] // self.width, tokens.new_empty(0)
        tokens = tokens.flatten(0, 1)
        for group, positions, weight in self.groups.summed(self.batch, start, self.stop):
            part = tokens if positions is None else tokens[positions.to(tokens.device)]
            part = part.to(widest_dtype(part.device)) if len(part) < FEW_TOKENS else part  # see ImageMoments.collect
            moment = second_moment(part[None], None if weight is None else weight[None])[0]
            moment = moment.to(widest_dtype(moment.device))
            self.parts[group] = self.parts[group] + moment if group in self.parts else moment

    def reduce(self, to_map: ToMap) -> None:
        moments = self.groups.combine(self.parts)
        measured = self.report_spread and self.batch == 1 and not is_recorded()
        total = sum(self.parts.values()) if measured else None
        self.parts = {}
        numbers = list(moments)
        self.map_of: dict[int, tuple[Tensor, Tensor]] = {}
        for first in range(0, len(numbers), MAPS_AT_ONCE):
            batch = numbers[first:first + MAPS_AT_ONCE]
            weight, bias = to_map(torch.stack([moments[number] for number in batch]))
            self.map_of.update(zip(batch, zip(weight.to(self.like).split(1), bias.to(self.like).split(1))))
        if self.report_spread and isinstance(total, Tensor):
            self.report_spread(self._spread(to_map(total[None])[0], moments))

    def _spread(self, image: Tensor, moments: dict[int, Tensor]) -> Tensor:
        """Return the mean relative distance of the groups' maps from the image's, weighted by their tokens."""
        number = torch.stack([moments[group][-1, -1] for group in moments])
        weights = torch.cat([self.map_of[group][0] for group in moments])
        distance = (weights - image.to(weights)).flatten(1).norm(dim=1) / image.norm().to(weights)
        return (distance * number).sum() / number.sum()

    def maps(self, start: int = 0, stop: int | None = None) -> Sequence[BlendedMap]:
        blended = self.groups.blended(self.batch, start, self.stop if stop is None else stop)
        device = self.like.device
        return [BlendedMap(*self.map_of[group], None if share is None else share.to(device),
                           None if positions is None else positions.to(device))
                for group, positions, share in blended]
