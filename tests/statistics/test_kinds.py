"""Kinds of content do not depend on rounding, on small cells at the edges, or on how a large image is sampled."""
import pytest
import torch

from xcit_mm.statistics import kinds
from xcit_mm.statistics.cells import CellFeatures, CellGrid
from xcit_mm.statistics.grid import TokenGrid
from xcit_mm.statistics.kinds import soft_kinds


def clusters(centres, cells, deviation=0.01):
    """Return features that lie near given centres, one after another: (len(centres) * cells, F)."""
    torch.manual_seed(0)
    centres = torch.tensor(centres, dtype=torch.double).repeat_interleave(cells, dim=0)
    return centres + deviation * torch.randn_like(centres)


def together(weights):
    """Return how far each pair of cells belongs to the same kinds: (cells, cells)."""
    return weights @ weights.T


def test_clusters_are_found():
    weights = soft_kinds(clusters([[0, 0], [10, 0], [0, 10]], 20), torch.full((60, ), 16), 3, 0.35)
    same = torch.block_diag(*[torch.ones(20, 20, dtype=torch.double)] * 3)
    torch.testing.assert_close(together(weights), same, atol=1e-3, rtol=0)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(60, dtype=torch.double))


@pytest.mark.parametrize('number', [2, 3, 4, 8])
def test_rounding_errors_do_not_break_ties(number):
    """The middle one of three clusters at equal distances may join either side, but always the same one."""
    features = clusters([[-1, 0], [0, 0], [1, 0]], 5, deviation=0)
    expected = together(soft_kinds(features, torch.full((15, ), 16), number, 0.35))
    for seed in range(20):
        torch.manual_seed(seed)
        noisy = features + 1e-7 * torch.randn_like(features)
        found = together(soft_kinds(noisy, torch.full((15, ), 16), number, 0.35))
        assert (found - expected).abs().max() < 1e-4


@pytest.mark.parametrize(
    'features', [torch.zeros(6, 4), torch.ones(6, 4), torch.randn(1, 4), torch.full((5, 3), 1e-30)],
    ids=['zeros', 'ones', 'one cell', 'tiny'])
def test_equal_cells_belong_to_the_same_kinds(features):
    weights = soft_kinds(features.double(), torch.full((len(features), ), 4), 4, 0.35)
    assert weights.isfinite().all() and (weights - weights[:1]).abs().max() < 1e-12


def test_values_that_are_not_finite_do_not_crash():
    """They make the result non-finite, as with every statistic."""
    features = torch.randn(5, 4, dtype=torch.double)
    features[2, 1] = float('nan')
    assert soft_kinds(features, torch.full((5, ), 4), 3, 0.35).shape == (5, 3)


def test_small_cells_do_not_become_kinds():
    """One more row and column of tokens leaves the kinds of the other cells as they were."""
    found = []
    torch.manual_seed(1)
    tokens = torch.randn(1, 33, 33, 16)
    tokens[:, :, 16:] += 1
    for side in (32, 33):
        cells = CellGrid(TokenGrid((side * 8, side * 8), 8), 4)
        features = CellFeatures(cells, 1, 16, tokens.device)
        features.collect(tokens[:, :side, :side].flatten(1, 2))
        means, sizes = features.result()
        weights = soft_kinds(means[0], sizes, 2, 0.35).unflatten(0, (cells.height, cells.width))
        found.append(together(weights[:8, :8].flatten(0, 1)))
    assert (found[0] - found[1]).abs().max() < 0.05


def test_a_sample_covers_the_whole_image(monkeypatch):
    """The sample does not line up with the rows, whatever the width."""
    monkeypatch.setattr(kinds, 'SAMPLE', 64)
    for width in (64, 89, 128):
        column = torch.arange(width * 50) % width
        sample, sizes = kinds._sample(column[:, None].double(), torch.ones(len(column)))
        assert len(sample) == len(sizes) == 64 and len(sample.unique()) > 24
        assert torch.histc(sample, 4, 0, width).min() > 8
