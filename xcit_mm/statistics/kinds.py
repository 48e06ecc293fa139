"""Group the cells of an image into kinds of content by soft k-means."""
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

ROUNDS = 12
SAMPLE = 8192  # cells that the centres are computed from; those of a larger image are spread evenly over it
GOLDEN_RATIO = 0.6180339887498949  # multiples of it, modulo 1, do not line up with the rows of the image
# Features that vary by less than this fraction of their root mean square count as equal; dividing by their small
# deviation would amplify rounding errors.
FLOOR = 0.1
# A cell's weights below this fraction of its largest weight become 0, so that a token is multiplied by the maps of only
# a few kinds. The threshold is subtracted from all weights, which keeps them continuous.
NEGLIGIBLE = 0.05
# Kinds nearer to each other than this many times the softness would share most of their cells, so they are merged.
DISTINCT = 1.0
NEARLY = 1 - 1e-3  # distances closer to each other than this are a tie, which the first cell wins


@torch.no_grad()
def soft_kinds(features: Tensor, sizes: Tensor, number: int, softness: float) -> Tensor:
    """Return the weight of each of ``number`` kinds in each cell.

    The first centre starts at the cell nearest to the mean, and each subsequent one at the cell farthest from all
    centres so far. Small cells at the edges of the image, whose features are noisy, are not starting points, and
    neither choice depends on rounding errors where cells tie. In each round, every centre moves to the mean of the
    cells, weighted by their sizes and by exp(-d^2 / 2 softness^2). These weights are continuous in the features, so
    rounding errors do not move a cell from one kind to another.

    Args:
        features: (cells, F), float64.
        sizes: (cells,), number of tokens in each cell, at least 1.
        number: largest number of kinds; fewer are found if all cells are near their centres.
        softness: distance at which a weight falls to exp(-1/2), in units in which the average squared distance between
            two cells is 2.

    Returns:
        (cells, number), in float64: weights from 0 to 1 that sum to 1 for each cell.
    """
    mean = features.mean(dim=0)
    floor = FLOOR * features.square().mean().sqrt().clamp_min(torch.finfo(features.dtype).tiny**0.25)
    scale = (features.var(dim=0, correction=0) + floor**2).rsqrt() / features.shape[1]**0.5
    sample, sizes = _sample(features, sizes.to(features))
    sample = (sample - mean) * scale
    squares = sample.square().sum(dim=1, keepdim=True)
    large = sizes >= sizes.max() / 2
    starts, limit = sample[large], (DISTINCT * softness)**2
    # The nearest cell to the mean has the largest negative distance.
    centres = starts[_first_largest(-squares[large, 0])][None]
    while (len(centres) < number
           and (distances := _squared_distances(starts, centres, squares[large]).amin(dim=1)).max() > limit):
        centres = torch.cat((centres, starts[_first_largest(distances)][None]))
    for _ in range(ROUNDS):
        weights = torch.softmax(_squared_distances(sample, centres, squares) / (-2 * softness**2), dim=1)
        weights *= sizes[:, None]
        mass = weights.sum(dim=0)[:, None]
        centres = weights.T @ sample / mass.clamp_min(torch.finfo(mass.dtype).tiny)
    centres = _distinct(centres, limit)
    weights = torch.cat([torch.softmax(_squared_distances((part - mean) * scale, centres) / (-2 * softness**2), dim=1)
                         for part in features.split(SAMPLE)])
    weights = (weights - NEGLIGIBLE * weights.amax(dim=1, keepdim=True)).clamp_min(0)
    return pad(weights / weights.sum(dim=1, keepdim=True), (0, number - len(centres)))


def _sample(features: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the features and sizes of ``SAMPLE`` cells, or of all cells if there are no more."""
    if len(features) <= SAMPLE:
        return features, sizes
    index = (torch.arange(SAMPLE, dtype=torch.float64) * GOLDEN_RATIO % 1 * len(features)).long().to(features.device)
    return features[index], sizes[index]


def _distinct(centres: Tensor, limit: float) -> Tensor:
    """Return the centres without those that are within a squared distance of ``limit`` of an earlier one."""
    kept = centres[:1]
    for centre in centres[1:]:
        if _squared_distances(centre[None], kept).min() > limit:
            kept = torch.cat((kept, centre[None]))
    return kept


def _first_largest(values: Tensor) -> Tensor:
    """Return the index of the first value that is nearly the largest."""
    largest = values.max()
    return (values >= torch.minimum(largest * NEARLY, largest / NEARLY)).int().argmax()  # 0 if there are NaNs


def _squared_distances(x: Tensor, centres: Tensor, squares: Tensor | None = None) -> Tensor:
    """Return the squared distances (M, N) of x (M, F) from centres (N, F), given the squared norms (M, 1) of x."""
    squares = x.square().sum(dim=1, keepdim=True) if squares is None else squares
    return (squares + centres.square().sum(dim=1) - 2 * (x @ centres.T)).clamp_min(0)
