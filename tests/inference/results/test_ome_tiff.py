"""Labels of slides are written as pyramidal OME-TIFF files, which other programs and our own source read."""
import numpy as np
import pytest
import rasterio
import tifffile
import torch
from openslide import OpenSlide

from xcit_mm.inference.results import ResultMeta, build_sinks
from xcit_mm.inference.results.majority import most_frequent
from xcit_mm.inference.sources import OmeTiff, ReadOptions, open_source


def write(folder, labels, number=11, microns=(0.5, 0.25), rows=37):
    palette = np.random.default_rng(2).integers(1, 256, (number, 3)).tolist()
    meta = ResultMeta('b', *labels.shape, [f'class {index}' for index in range(number)], palette, None, microns=microns)
    sink, = build_sinks(['ome_tiff'])
    sink.write_labels(folder, torch.from_numpy(labels).to(meta.dtype).split(rows), meta)
    return folder / 'b_classes.ome.tif', palette


def random_labels(size, number=11):
    blocks = np.random.default_rng(0).integers(0, number, (-(-size[0] // 7), -(-size[1] // 7)))
    return np.kron(blocks, np.ones((7, 7), int))[:size[0], :size[1]]


def halves(labels, nodata):
    while max(labels.shape) > 512:
        labels = most_frequent(labels, nodata)
        yield labels


@pytest.mark.parametrize('number', [11, 255, 300])
@pytest.mark.parametrize('size', [(30, 20), (512, 512), (1301, 1100), (513, 2050)], ids=str)
def test_every_level_can_be_read(tmp_path, size, number):
    labels, nodata = random_labels(size, number), 255 if number < 256 else 65535
    labels[:20, :10] = nodata
    path, palette = write(tmp_path, labels, number)
    expected = [labels, *halves(labels, nodata)]
    with tifffile.TiffFile(path) as file:
        image, = file.series
        assert file.is_ome and [level.shape for level in image.levels] == [level.shape for level in expected]
        for level, pixels in zip(image.levels, expected):
            assert np.array_equal(level.asarray(), pixels) and level.pages[0].is_tiled
            if number < 256:
                assert np.array_equal(level.pages[0].colormap[:, :number] // 257, np.transpose(palette))
    for level, pixels in enumerate(expected):
        with open_source(path, ReadOptions(as_stored=True, level=level)) as source:
            assert type(source) is OmeTiff and source.microns == pytest.approx((0.5 * 2**level, 0.25 * 2**level))
            assert np.array_equal(source.reader().read_all().numpy()[..., 0], pixels)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['.xcit_mm_results', 'b_classes.ome.tif']


def test_other_programs_find_sizes_names_and_colours(tmp_path):
    labels = random_labels((700, 600))
    path, palette = write(tmp_path, labels)
    with tifffile.TiffFile(path) as file:
        image = tifffile.xml2dict(file.ome_metadata)['OME']
    pixels, names = image['Image']['Pixels'], image['StructuredAnnotations']['MapAnnotation']['Value']['M']
    assert (pixels['PhysicalSizeX'], pixels['PhysicalSizeY'], pixels['PhysicalSizeYUnit']) == (0.25, 0.5, 'µm')
    assert image['Image']['Name'] == 'b'
    assert dict(K=3, value='class 3') in names and dict(K=255, value='no data') in names
    with OpenSlide(path) as slide:
        assert float(slide.properties['openslide.mpp-x']) == 0.25
        assert np.array_equal(np.asarray(slide.read_region((0, 0), 0, (600, 700)))[..., :3], np.array(palette)[labels])
    with tifffile.TiffFile(write(tmp_path / 'unknown', labels, microns=None)[0]) as file:
        assert 'PhysicalSize' not in file.ome_metadata


def test_reduced_levels_show_the_most_frequent_class_like_gdal(tmp_path):
    few = np.array([[1, 2, 5, 9], [2, 3, 9, 9], [9, 9, 9, 4], [9, 9, 9, 9]], np.uint8)
    assert most_frequent(few, 9).tolist() == [[2, 5], [9, 4]]
    assert most_frequent(few[:, :3], 0).tolist() == [[2, 5], [9, 9]]
    # Without ties, GDAL gives the same.
    labels = np.kron(np.random.default_rng(0).integers(0, 4, (100, 90), np.uint8), np.ones((2, 2), np.uint8))
    noise = np.random.default_rng(1)
    labels[::2, ::2] = np.where(noise.random((100, 90)) < 0.5, labels[::2, ::2], noise.integers(0, 4, (100, 90)))
    profile = dict(driver='GTiff', height=200, width=180, count=1, dtype='uint8', nodata=3)
    with rasterio.open(tmp_path / 'a.tif', 'w', **profile) as file:
        file.write(labels, 1)
    with rasterio.open(tmp_path / 'a.tif', 'r+') as file:
        file.build_overviews([2], rasterio.enums.Resampling.mode)
    with rasterio.open(tmp_path / 'a.tif', overview_level=0) as file:
        assert np.array_equal(file.read(1), most_frequent(labels, 3))


def test_only_large_maps_need_bigtiff(tmp_path, monkeypatch):
    labels = random_labels((700, 600))
    for limit, expected in ((420000, False), (419999, True)):
        monkeypatch.setattr('xcit_mm.inference.results.ome_tiff.CLASSIC_BYTES', limit)
        with tifffile.TiffFile(write(tmp_path, labels)[0]) as file:
            assert file.is_bigtiff == expected and np.array_equal(file.asarray(), labels)


def test_a_failed_write_leaves_no_file(tmp_path):
    def bands():
        yield torch.zeros(600, 700, dtype=torch.uint8)
        raise KeyboardInterrupt

    sink, = build_sinks(['ome_tiff'])
    with pytest.raises(KeyboardInterrupt):
        sink.write_labels(tmp_path, bands(), ResultMeta('b', 1200, 700, ['a'], [[0, 0, 0]], None))
    assert not list(tmp_path.iterdir())
