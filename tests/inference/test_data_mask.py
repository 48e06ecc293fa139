"""Pixels without data count in no statistic."""
from functools import partial
from unittest.mock import Mock

import numpy as np
import pytest
import rasterio
import torch
from rasters import write_raster
from segmentors import build, scene_of_kinds

from xcit_mm.apis import segment_file
from xcit_mm.inference.data_mask import ROWS_AT_ONCE, DataMask
from xcit_mm.inference.scene import Scene
from xcit_mm.inference.segmentation import Options, Segmentation
from xcit_mm.inference.sources import Source, open_source
from xcit_mm.ops.rows import Stored
from xcit_mm.statistics import Recorder, build_statistics


@pytest.fixture(scope='module')
def model():
    return build()


def labels_of(model, path, **options):
    segment_file(model, path, path.parent / 'out', **options)
    with rasterio.open(path.parent / f'out/{path.stem}_classes.tif') as file:
        return file.read(1)


def masked(path, image, valid):
    """Write an image (H, W, 3) whose pixels count only where ``valid`` (H, W) is true."""
    write_raster(path, np.moveaxis(image, 2, 0))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, 'r+') as file:
        file.write_mask(valid)
    return path


@pytest.mark.parametrize('margins', [(0, 64, 0, 32), (37, 5, 11, 3), (ROWS_AT_ONCE + 1, 0, 0, 9)], ids=str)
@pytest.mark.parametrize('options', [dict(mode='banded'), dict(mode='whole', statistics='mixture')], ids=str)
def test_a_margin_without_data_changes_no_label(tmp_path, model, margins, options):
    image = scene_of_kinds(150, 130)
    top, bottom, left, right = margins
    alone = labels_of(model, write_raster(tmp_path / 'alone.tif', np.moveaxis(image, 2, 0)), **options)
    wide = np.pad(image, ((top, bottom), (left, right), (0, 0)), constant_values=200)
    valid = np.zeros(wide.shape[:2], bool)
    valid[top:top + 150, left:left + 130] = True
    labels = labels_of(model, masked(tmp_path / 'wide.tif', wide, valid), **options)
    assert np.array_equal(labels[valid].reshape(150, 130), alone) and (labels[~valid] == 255).all()


def test_a_file_without_data_is_not_segmented(tmp_path, model):
    path = masked(tmp_path / 'a.tif', scene_of_kinds(150, 130), np.zeros((150, 130), bool))
    assert segment_file(model, path, tmp_path / 'out') == 'none'
    with rasterio.open(tmp_path / 'out/a_classes.tif') as file:
        assert (file.read(1) == 255).all() and file.nodata == 255


def test_the_mask_of_a_file(tmp_path):
    valid = np.zeros((600, 141), bool)
    valid[100:590, 7:121] = np.random.default_rng(0).random((490, 114)) < 0.7
    valid[[100, 589], [7, 120]] = True
    path = masked(tmp_path / 'a.tif', scene_of_kinds(600, 141), valid)
    with open_source(path) as source:
        mask = DataMask(source)
    assert mask.box == (100, 590, 7, 121)
    for start, stop in ((0, 490), (3, 4), (150, 410)):
        assert np.array_equal(mask.read(start, stop), valid[100 + start:100 + stop, 7:121])
    coverage = mask.coverage()
    assert coverage.shape == (123, 29)
    assert coverage[1, 2] == valid[104:108, 15:19].mean() and coverage[-1, -1] == valid[588:590, 119:121].mean()


def test_moments_and_cells_are_those_of_the_pixels_with_data():
    coverage = torch.ones(15, 12)
    coverage[:, 8:], coverage[4:6, :2] = 0, 0.5  # tokens of 8 px: (8, 6), of which four columns count
    tokens, pixels = torch.randn(1, 48, 5), torch.randn(1, 8, 6, 5)
    for name in ('image', 'adaptive', 'local', dict(type='mixture', kinds=1), Recorder()):
        statistics = build_statistics(name, crop=(400, 400), coverage=coverage)
        statistics.begin(60, 48, 8)
        if statistics.observes:
            statistics.observe(tokens)
        moments = statistics.moments(0, 8, 6)
        moments.collect(tokens[:, :18])
        moments.collect(tokens[:, 18:], 3)
        to_map = Mock(side_effect=lambda moment: (moment[:, :-1, :-1], moment[:, -1:, :-1]))
        moments.reduce(to_map)
        weights = torch.ones(8, 6)
        weights[:, 4:], weights[2, 0] = 0, 0.5
        x = torch.cat((tokens[0], torch.ones(48, 1)), dim=1).double()
        moment = to_map.call_args_list[0].args[0][0].double()
        torch.testing.assert_close(moment, x.T @ (weights.view(-1, 1) * x), rtol=1e-5, atol=1e-5)
        pools = statistics.pools(2, 8, 6)
        pools.collect(pixels[:, :3])
        pools.collect(pixels[:, 3:], 3)
        cells, weighted = pools.reduce(), weights[..., None] * pixels[0]
        torch.testing.assert_close(cells[0, 0, 1], weighted[:4, 3:].sum((0, 1)) / weights[:4, 3:].sum())


@pytest.mark.parametrize('statistics', ['image', 'mixture', dict(type='local', size=(70, 100)),
                                        dict(type='adaptive', threshold=0.1)], ids=str)
def test_banded_equals_whole(model, statistics):
    pixels = torch.from_numpy(scene_of_kinds(201, 170)).float().div(64).sub(2)
    coverage = torch.ones(51, 43)
    coverage[:13], coverage[20:30, 5:40] = 0, 0
    scores = {}
    for mode in ('banded', 'whole', 'slide'):
        model.test_cfg.update(crop_size=(64, 48), stride=(40, 32))
        for shares in (coverage, None):
            scene = partial(Scene, Stored(pixels), (201, 170), coverage=shares)
            segmentation = Segmentation(model, scene, Options(mode=mode, statistics=statistics))
            scores[mode, shares is None] = torch.cat([band.scores for band in segmentation])
    expected = scores['whole', False]
    assert (scores['banded', False] - expected).abs().max() < 1e-5 * expected.abs().max()
    assert (scores['whole', True] - expected).abs().max() > 1e-3 * expected.abs().max()
    assert (scores['slide', True] - scores['slide', False]).abs().max() > 1e-3 * expected.abs().max()
    assert scores['slide', False].isfinite().all()


def test_a_network_that_can_only_sum_over_all_pixels_does_so(model):
    pixels, coverage = torch.randn(128, 96, 3), torch.ones(32, 24)
    coverage[8:] = 0
    hooked = build()
    hooked.backbone.blocks[0].attn.register_forward_hook(lambda module, inputs, output: 2 * output)
    pooled = build()
    pooled.decode_head.psp_modules[0][0] = torch.nn.AdaptiveMaxPool2d(1).eval()
    for changed, statistics in ((hooked, 'image'), (pooled, 'mixture')):
        for mode in ('whole', 'auto'):
            scene = partial(Scene, Stored(pixels), (128, 96), coverage=coverage)
            bands = Segmentation(changed, scene, Options(mode=mode, statistics=statistics))
            assert torch.cat([band.labels for band in bands]).shape == (128, 96)


class SomeRows(Source):
    """A source that has a mask for its second part only."""

    def valid(self, start, stop):
        return None if stop <= ROWS_AT_ONCE else torch.zeros(stop - start, self.width, dtype=torch.bool)


def test_rows_without_a_mask_hold_data(tmp_path):
    mask = DataMask(SomeRows(tmp_path / 'a', 600, 9))
    assert mask.box == (0, ROWS_AT_ONCE, 0, 9) and mask.read(3, 5).all() and mask.coverage() is None
    assert DataMask(SomeRows(tmp_path / 'a', 200, 9)).read(0, 200) is None


@pytest.mark.parametrize('patch_size', [2, 4, 8, 16])
def test_coverage_of_tokens(patch_size):
    valid = torch.zeros(61, 46)
    valid[:33, 4:] = 1
    blocks = torch.nn.functional.avg_pool2d(valid[None], 4, ceil_mode=True, count_include_pad=False)[0]
    grid = build_statistics('image', coverage=blocks)
    grid.begin(61, 46, patch_size)
    coverage = grid.grid.coverage
    assert coverage.shape == (grid.grid.height, grid.grid.width) == (-(-61 // patch_size), -(-46 // patch_size))
    assert coverage[0, 0] == (max(patch_size, 4) - 4) / max(patch_size, 4)
    assert coverage[0, -1] == 1 and coverage[-1, -1] == 0
