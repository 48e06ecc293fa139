"""Statistics of the kinds of content in an image, such as forest, water and houses in an aerial photo."""
from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..errors import InputError
from .cells import CellFeatures, CellGrid
from .grouped import GroupedMoments, Groups, Members
from .image import ImagePools
from .kinds import soft_kinds
from .statistics import STATISTICS, Pools, Statistics

DOUBLE = 8  # bytes


@STATISTICS.register_module(name='mixture')
class Mixture(Statistics):
    """One moment for each kind of content, wherever it is in the image; each token gets a blend of its kinds' maps.

    The image is divided into cells, which are grouped by the mean and standard deviation of their tokens at the input
    of the first block. With one kind, the result is the same as with ``image``. UPerHead's pooled cells are always the
    same as with ``image``.

    Args:
        kinds: number of kinds.
        softness: see ``soft_kinds``.
        leak: fraction of the image's moment to add to the moment of each kind.
        cell: side of a cell, px.

    Raises:
        InputError: an argument is out of range.
    """

    observes = True

    def __init__(self, kinds: int = 4, softness: float = 0.35, leak: float = 0.0, cell: int = 32) -> None:
        if kinds < 1 or softness <= 0 or leak < 0 or cell < 1:
            raise InputError('statistics mixture needs kinds >= 1, softness > 0, leak >= 0 and cell >= 1, but got '
                             f'kinds={kinds}, softness={softness}, leak={leak} and cell={cell}')
        self.kinds, self.softness, self.leak, self.cell = kinds, softness, leak, cell

    def begin(self, height: int, width: int, patch_size: int) -> None:
        super().begin(height, width, patch_size)
        self.cells = CellGrid(self.grid, max(self.cell // patch_size, 1))
        self.features: CellFeatures | None = None
        self.groups: KindGroups | None = None

    def estimate_bytes(self, height: int, width: int, patch_size: int, channels: int) -> float:
        cells = height * width / max(self.cell // patch_size, 1)**2
        return DOUBLE * (2 * cells * 2 * channels + 3 * self.kinds * (channels + 1)**2)  # sums and features; moments

    def observe(self, tokens: Tensor, start: int = 0) -> None:
        if self.features is None:
            self.features = CellFeatures(self.cells, len(tokens), tokens.shape[2], tokens.device)
        self.features.collect(tokens, start)

    def moments(self, block: int, height: int, width: int) -> GroupedMoments:
        if self.groups is None:
            assert self.features is not None  # see Statistics.observe
            features, tokens = self.features.result()
            self.features = None
            weights = features.new_zeros(len(features), len(tokens), self.kinds)
            for image, own in zip(weights, features):
                image[tokens > 0] = soft_kinds(own[tokens > 0], self.kinds, self.softness)
            grid = weights.mT.unflatten(2, (self.cells.height, self.cells.width))
            self.groups = KindGroups(self.cells, grid.float(), self.leak)
        return GroupedMoments(self.groups, width)

    def kind_map(self) -> Tensor:
        """Return the kind with the largest weight in each cell, after a pass: (B, cells down, cells across) int64."""
        assert self.groups is not None
        return self.groups.weights.argmax(dim=1).cpu()

    def pools(self, bins: int, height: int, width: int) -> Pools:
        return ImagePools(bins, height, width)


class KindGroups(Groups):
    """Kinds as groups of tokens.

    Args:
        cells: the grid of cells.
        weights: (B, kinds, cells.height, cells.width), weight of each kind in each cell; 0 if a cell is all padding.
        leak: see ``Mixture``.
    """

    def __init__(self, cells: CellGrid, weights: Tensor, leak: float) -> None:
        self.cells, self.weights, self.leak = cells, weights, leak

    def summed(self, batch: int, start: int, stop: int) -> Iterable[Members]:
        inside = self.cells.tokens.inside(start, stop, self.weights.device)
        return _members(self.cells.of_tokens(self.weights, start, stop) * inside)

    def blended(self, batch: int, start: int, stop: int) -> Iterable[Members]:
        shares = self.cells.at_tokens(self.weights, start, stop)
        total = shares.sum(dim=1, keepdim=True)
        shares[:, :1].masked_fill_(total == 0, 1)  # any map will do for padding
        return _members(shares / torch.where(total == 0, 1, total))

    def combine(self, parts: dict[int, Tensor]) -> dict[int, Tensor]:
        if not self.leak:
            return parts
        kinds = self.weights.shape[1]
        images: dict[int, Tensor] = {}
        for group, moment in parts.items():
            images[group // kinds] = images.get(group // kinds, 0) + moment
        return {group: moment + self.leak * images[group // kinds] for group, moment in parts.items()}


def _members(weights: Tensor) -> Iterable[Members]:
    """Return each group's tokens with a non-zero weight, from the weights (B, groups, rows, columns)."""
    batch, groups = weights.shape[:2]
    weights = weights.flatten(2)
    tokens = weights.shape[2]
    if batch == groups == 1 and bool((weights == 1).all()):
        yield Members(0)
        return
    for image in range(batch):
        for group in range(groups):
            own = weights[image, group]
            index = own.nonzero()[:, 0]
            if len(index):
                yield Members(image * groups + group, index + image * tokens, own[index, None])
