"""Statistics of the kinds of content in an image, such as forest, water and houses in an aerial photo."""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ..errors import InputError
from .cells import CellFeatures, CellGrid
from .grid import TokenGrid
from .grouped import GroupedMoments, GroupedStatistics, Groups, Members
from .kinds import soft_kinds
from .statistics import STATISTICS

DOUBLE = 8  # bytes


@STATISTICS.register_module(name='mixture')
class Mixture(GroupedStatistics):
    """One moment for each kind of content, wherever it is in the image; each token gets a blend of its kinds' maps.

    The image is divided into cells, which are grouped by the mean and standard deviation of their tokens at the input
    of the first block. With one kind, the result is the same as with ``image``. UPerHead's pooled cells are always
    those of the whole image, because smaller ones did not segment better (see docs/statistics.md).

    Args:
        kinds: largest number of kinds.
        softness: see ``soft_kinds``.
        leak: fraction of the image's moment to add to the moment of each kind.
        cell: side of a cell, px.

    Raises:
        InputError: an argument is out of range.
    """

    observes = True

    def __init__(self, kinds: int = 8, softness: float = 0.35, leak: float = 0.0, cell: int = 32) -> None:
        whole = isinstance(kinds, int) and isinstance(cell, int) and kinds >= 1 and cell >= 1
        if not (whole and 0 < softness < math.inf and 0 <= leak < math.inf):
            raise InputError('statistics mixture needs whole numbers kinds >= 1 and cell >= 1, softness > 0 and '
                             f'leak >= 0, but got kinds={kinds}, cell={cell}, softness={softness} and leak={leak}')
        self.kinds, self.softness, self.leak, self.cell = kinds, softness, leak, cell

    def begin(self, height: int, width: int, patch_size: int) -> None:
        super().begin(height, width, patch_size)
        self.cells = CellGrid(self.grid, max(self.cell // patch_size, 1))
        self.features: CellFeatures | None = None
        self.groups: KindGroups | None = None

    def estimate_bytes(self, grid: TokenGrid, channels: int) -> float:
        cells = grid.height * grid.width / max(self.cell // grid.patch_size, 1)**2
        # Sums, which become features, and their temporary copies; moments, their parts and maps
        return DOUBLE * (2 * cells * 2 * channels + 3 * self.kinds * (channels + 1)**2)

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
            inside = tokens > 0
            for image, own in zip(weights, features):
                own = own if inside.all() else own[inside]  # indexing copies
                image[inside] = soft_kinds(own, tokens[inside], self.kinds, self.softness)
            grid = weights.mT.unflatten(2, (self.cells.height, self.cells.width))
            self.groups = KindGroups(self.cells, grid.float(), self.leak)
        return self.grouped_moments(self.groups, block, width)

    def kind_map(self) -> Tensor:
        """Return the kind with the largest weight in each cell, after a pass: (B, cells down, cells across) int64."""
        assert self.groups is not None
        return self.groups.weights.argmax(dim=1).cpu()


class KindGroups(Groups):
    """Kinds as groups of tokens.

    Args:
        cells: the grid of cells.
        weights: (B, kinds, cells.height, cells.width), weight of each kind in each cell; 0 if a cell has no data.
        leak: see ``Mixture``.
    """

    def __init__(self, cells: CellGrid, weights: Tensor, leak: float) -> None:
        self.cells, self.weights, self.leak = cells, weights, leak
        self.kept: dict[str, list[Members]] = {}  # of the whole grid, which every block asks for

    def summed(self, batch: int, start: int, stop: int) -> Iterable[Members]:
        return self._keep('summed', self._summed, start, stop)

    def blended(self, batch: int, start: int, stop: int) -> Iterable[Members]:
        return self._keep('blended', self._blended, start, stop)

    def _keep(self, name: str, compute: Callable[[int, int], list[Members]], start: int, stop: int) -> list[Members]:
        if (start, stop) != (0, self.cells.tokens.height):
            return compute(start, stop)
        if name not in self.kept:
            self.kept[name] = compute(start, stop)
        return self.kept[name]

    def _summed(self, start: int, stop: int) -> list[Members]:
        weights = self.cells.of_tokens(self.weights, start, stop)
        weights = weights * self.cells.tokens.inside(start, stop, weights.device)
        coverage = self.cells.tokens.weights(start, stop)
        return list(_members(weights if coverage is None else weights * coverage.view(weights.shape[2:]).to(weights)))

    def _blended(self, start: int, stop: int) -> list[Members]:
        shares = self.cells.at_tokens(self.weights, start, stop)
        # Padding far from the image has no shares, and takes those of the image.
        shares = torch.where(shares.sum(dim=1, keepdim=True) == 0, self.weights.mean(dim=(2, 3), keepdim=True), shares)
        return list(_members(shares / shares.sum(dim=1, keepdim=True)))

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
    if batch == 1 and bool((weights[0, 0] == 1).all()):
        yield Members(0)
        return
    for image in range(batch):
        for group in range(groups):
            members = weights[image, group].nonzero()[:, 0]
            if len(members):
                share = weights[image, group, members, None]
                yield Members(image * groups + group, members + image * tokens, share)
