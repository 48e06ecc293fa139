"""Windows drawn for training hold the pixels and labels of the rasters, and cover them evenly."""
import numpy as np
import psutil
import pytest
import rasterio
import torch
from mmengine.registry import DefaultScope
from rasters import PLACE, draw_polygons, random_bands, write_raster

from xcit_mm.errors import InputError
from xcit_mm.inference.sources import Box
from xcit_mm.training.rasters import RasterDataset
from xcit_mm.training.runner import StrictRunner

LOADING = [dict(type='xcit_mm.training.rasters.LoadRasterWindow')]
PACKED = [*LOADING, dict(type='PackSegInputs', meta_keys=('box', 'img_path'))]


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a raster and a raster of labels 0 to 2, and returns their paths."""
    def run(name='a', bands=None, labels=None, **options):
        bands = random_bands(4) if bands is None else bands
        labels = np.random.default_rng(1).integers(0, 3, bands.shape[1:], np.uint8) if labels is None else labels
        write_raster(tmp_path / f'{name}.labels.tif', labels[None])
        return str(write_raster(tmp_path / f'{name}.tif', bands, **options)), str(tmp_path / f'{name}.labels.tif')

    return run


def build(*pairs, bands=(4, 3, 2), window=(64, 48), pipeline=LOADING):
    meta = dict(classes=('a', 'b', 'c'))
    return RasterDataset(pairs, (9.5, 8.5, 7.5), bands, window, metainfo=meta, pipeline=pipeline)


def part_of(array, box):
    return array[..., box.top:box.bottom, box.left:box.right]


def test_windows_hold_the_pixels_of_the_raster(write):
    bands = random_bands(5, 'uint16')
    image, labels = write(bands=bands)
    with rasterio.open(labels) as file:
        expected = file.read(1)
    dataset = build((image, labels))
    boxes = []
    for index in range(20):
        data = dataset[index % len(dataset)]
        boxes.append(data['box'])
        assert (data['box'].height, data['box'].width) == data['img_shape'] == (64, 48)
        assert np.array_equal(data['img'].transpose(2, 0, 1), part_of(bands[[3, 2, 1]], data['box']))
        assert np.array_equal(data['gt_seg_map'], part_of(expected, data['box']))
    assert len(set(boxes)) == 20 and len(dataset) == 5 * 3


def test_windows_without_data_or_labels(write):
    bands, valid = random_bands(3, 'int16'), np.ones((301, 141), bool)
    valid[100:160, 20:90] = False
    bands[:, ~valid] = -9999
    labels = np.full((301, 141), 255, np.uint8)
    labels[80:170], labels[:60] = 1, 255
    dataset = build(write(bands=bands, labels=labels, nodata=-9999), bands=())
    for _ in range(10):
        data = dataset[0]
        with_data = part_of(valid, data['box'])
        assert np.array_equal(data['gt_seg_map'], np.where(with_data, part_of(labels, data['box']), 255))
        assert (data['gt_seg_map'] != 255).any()
        pixels = np.moveaxis(data['img'], 2, 0)
        assert np.array_equal(pixels[:, with_data], part_of(bands, data['box'])[:, with_data])
        assert np.array_equal(pixels[:, ~with_data].T, np.tile(np.float32([9.5, 8.5, 7.5]), ((~with_data).sum(), 1)))


def test_labels_that_no_window_contains_are_an_error(write, monkeypatch):
    monkeypatch.setattr('xcit_mm.training.rasters.dataset.TRIES', 5)
    dataset = build(write(labels=np.full((301, 141), 255, np.uint8)))
    with pytest.raises(InputError, match='5 random windows of 64 x 48 pixels contain none; cut'):
        dataset[0]


def test_sampling_is_uniform_over_the_area_of_all_rasters(write, tmp_path):
    large, small = write('large'), write('small', random_bands(4, size=(30, 141)))
    dataset = build(large, small, window=(40, 40))
    drawn = [dataset._draw() for _ in range(4000)]
    assert np.mean([pair for pair, _ in drawn]) == pytest.approx(30 / 331, abs=0.015)
    assert {box.height for pair, box in drawn if pair == 1} == {30}
    tops = np.array([box.top for pair, box in drawn if pair == 0])
    assert tops.min() == 0 and tops.max() == 261 and tops.mean() == pytest.approx(130.5, abs=6)


def windows(pair, seed, workers, epochs=2):
    torch.manual_seed(seed)  # as the runner does
    loader = StrictRunner.build_dataloader(dict(
        dataset=build(pair, pipeline=PACKED), batch_size=1, num_workers=workers,
        sampler=dict(type='DefaultSampler', shuffle=True)), seed=seed)
    return [sample.box for _ in range(epochs) for batch in loader for sample in batch['data_samples']]


@pytest.mark.parametrize('workers', [0, 2])
def test_windows_are_the_same_for_a_seed_and_differ_between_workers_and_epochs(write, workers):
    pair = write()
    drawn = windows(pair, 3, workers)
    assert drawn == windows(pair, 3, workers) and drawn != windows(pair, 4, workers)
    assert len(set(drawn)) > len(drawn) - 3


def test_a_file_of_two_gigabytes_is_read_by_windows(tmp_path):
    path, size = tmp_path / 'a.tif', (26000, 28000)
    with rasterio.open(path, 'w', driver='GTiff', count=3, dtype='uint8', height=size[0], width=size[1], BIGTIFF='YES',
                       SPARSE_OK=True, tiled=True, **PLACE) as file:
        file.write(random_bands(3, size=(256, 256)), window=((12800, 13056), (12800, 13056)))
    labels = draw_polygons(tmp_path / 'a.gpkg', [[(0, 0), (28000, 0), (28000, 26000), (0, 26000)]], ['b'])
    before = psutil.Process().memory_info().rss
    dataset = build((str(path), str(labels)), bands=(), window=(512, 512))
    for _ in range(3):
        assert dataset[0]['img'].shape == (512, 512, 3)
    assert psutil.Process().memory_info().rss - before < 300 << 20 and np.prod(size) * 3 > 2 << 30
    data = dataset.pipeline(dataset._describe(0, Box(12700, 13212, 12600, 13112)))
    assert np.array_equal(data['img'][100:356, 200:456], random_bands(3, size=(256, 256)).transpose(1, 2, 0))


def test_a_damaged_tile_is_named_or_skipped(write):
    image, labels = write(bands=random_bands(3), tiled=True, blockxsize=64, blockysize=64, compress='deflate')
    with open(image, 'r+b') as file:
        file.truncate(file.seek(0, 2) // 2)
    loader = dict(dataset=build((image, labels), bands=()), batch_size=1, sampler=dict(type='InfiniteSampler'))
    with pytest.raises(InputError, match='cannot read .*a.tif: the window of rows .* is damaged or missing'):
        for _ in zip(range(30), StrictRunner.build_dataloader(loader | dict(dataset=build((image, labels), bands=())))):
            pass
    for _ in zip(range(30), StrictRunner.build_dataloader(loader | dict(damaged_files='skip'))):
        pass


def test_unusable_settings_are_refused(write):
    with pytest.raises(InputError, match='cannot train with 256 classes: labels of rasters have 8 bits'):
        RasterDataset([write()], (9.5, ) * 3, (1, 2, 3), metainfo=dict(classes=list(map(str, range(256)))))
    with pytest.raises(InputError, match='no rasters or no classes; set train_pairs, val_pairs and classes'):
        build()
    pair = write(bands=random_bands(5))
    with pytest.raises(InputError, match='5 of its bands would be read, but mean has 3 values'):
        build(pair, bands=())
    with pytest.raises(InputError, match='cannot read band 6 of'):
        build(pair, bands=(6, 1, 2))
