"""Group the cells of an image into kinds of content by soft k-means."""
from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 12
SAMPLE = 8192  # cells that the centres are computed from; a larger image is sampled evenly
# Features that vary by less than this fraction of their root mean square count as equal; dividing by their small
# deviation would amplify rounding errors.
FLOOR = 0.02
# A cell's weights below this fraction of its largest weight become 0, so that a token is multiplied by the maps of only
# a few kinds. The threshold is subtracted from all weights, which keeps them continuous.
NEGLIGIBLE = 0.05


@torch.no_grad()
def soft_kinds(features: Tensor, number: int, softness: float) -> Tensor:
    """Return the weight of each of ``number`` kinds in each cell.

    The first centre starts at the cell nearest to the mean, and each further one at the cell farthest from all centres
    so far. In each round, every centre moves to the mean of the cells, weighted by exp(-d^2 / 2 softness^2). Soft
    weights make the result continuous in the features, so rounding errors cannot move a cell from one kind to another.

    Args:
        features: (cells, F), float64.
        number: number of kinds.
        softness: distance at which a weight falls to exp(-1/2), in units in which the average squared distance between
            two cells is 2.

    Returns:
        (cells, number), in float64: weights from 0 to 1 that sum to 1 for each cell.
    """
    mean = features.mean(dim=0)
    floor = FLOOR * features.square().mean().sqrt().clamp_min(torch.finfo(features.dtype).tiny)
    scale = (features.var(dim=0, correction=0) + floor**2).rsqrt() / features.shape[1]**0.5
    features = (features - mean) * scale
    sample = features[::-(-len(features) // SAMPLE)]
    centres = sample[sample.square().sum(dim=1).argmin()][None]
    while len(centres) < number:
        farthest = _squared_distances(sample, centres).amin(dim=1).argmax()
        centres = torch.cat((centres, sample[farthest][None]))
    for _ in range(ROUNDS):
        weights = torch.softmax(_squared_distances(sample, centres) / (-2 * softness**2), dim=1)
        mass = weights.sum(dim=0)[:, None]
        centres = weights.T @ sample / mass.clamp_min(torch.finfo(mass.dtype).tiny)
    weights = torch.softmax(_squared_distances(features, centres) / (-2 * softness**2), dim=1)
    weights = (weights - NEGLIGIBLE * weights.amax(dim=1, keepdim=True)).clamp_min(0)
    return weights / weights.sum(dim=1, keepdim=True)


def _squared_distances(x: Tensor, centres: Tensor) -> Tensor:
    return (x.square().sum(dim=1, keepdim=True) - 2 * x @ centres.T + centres.square().sum(dim=1)).clamp_min(0)
