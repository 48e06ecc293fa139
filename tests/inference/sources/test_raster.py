"""Rasters of any GDAL format are read by windows of rows, as stored; errors name the file and what is wrong with it."""
import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.enums import ColorInterp
from rasters import CRS, TRANSFORM, random_bands, write_raster

from xcit_mm.errors import InputError
from xcit_mm.inference.sources import (
    RasterFile,
    ReadOptions,
    open_source,
    read_image,
)

AS_STORED = ReadOptions(as_stored=True)
TILES = dict(tiled=True, blockxsize=64, blockysize=32)
FORMATS = {
    'a.tif': dict(), 'b.tif': dict(TILES, compress='deflate', predictor=2), 'c.tif': dict(interleave='band'),
    'cog.tif': dict(driver='COG', BLOCKSIZE=128), 'a.vrt': dict(driver='VRT'), 'a.dat': dict(driver='ENVI'),
    'a.jp2': dict(driver='JP2OpenJPEG', QUALITY=100, REVERSIBLE='YES')}


def read_rows(source, ends=(0, 1, 40, 41, 200, 301)):
    with source:
        reader = source.reader()
        return np.concatenate([reader.read(start, stop).numpy() for start, stop in zip(ends, ends[1:])])


def valid_rows(source):
    with source:
        return np.concatenate([source.valid(start, stop).numpy() for start, stop in ((0, 7), (7, 200), (200, 301))])


@pytest.mark.parametrize('name', FORMATS)
def test_every_pixel_of_any_format_arrives(tmp_path, name):
    bands = random_bands()
    path = write_raster(tmp_path / name, bands, **FORMATS[name])
    source = open_source(path)
    assert isinstance(source, RasterFile) and source.georeference.transform == tuple(TRANSFORM)[:6]
    assert rasterio.CRS.from_wkt(source.georeference.crs) == rasterio.CRS.from_string(CRS)
    assert np.array_equal(read_rows(source), bands[::-1].transpose(1, 2, 0))  # BGR


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'float32'])
def test_values_are_as_stored(tmp_path, dtype):
    bands = random_bands(5, dtype)
    path = write_raster(tmp_path / 'a.tif', bands, **TILES)
    rows = read_rows(open_source(path, AS_STORED))
    assert np.array_equal(rows, bands.transpose(1, 2, 0)) and rows.dtype == ('int32' if dtype == 'uint16' else dtype)
    if dtype in ('int16', 'float32'):
        with pytest.raises(InputError, match=f'its values are {dtype}, but the config loads 8-bit images'):
            open_source(path)
    else:
        rows = read_rows(open_source(path))
        expected = bands if dtype == 'uint8' else bands // 256
        assert np.array_equal(rows, expected.transpose(1, 2, 0)) and rows.dtype == 'uint8'


def test_bands_are_chosen_by_number(tmp_path):
    bands = random_bands(5)
    path = write_raster(tmp_path / 'a.tif', bands)
    for chosen, expected in (((4, 3, 2), bands[[1, 2, 3]]), ((5, 1), bands[[4, 0]]), ((1, 1, 1), bands[[0, 0, 0]])):
        source = open_source(path, ReadOptions(chosen))
        assert source.bands == len(chosen) and np.array_equal(read_rows(source), expected.transpose(1, 2, 0))
    source = open_source(path, ReadOptions((4, 3, 2), as_stored=True))
    assert np.array_equal(read_rows(source), bands[[3, 2, 1]].transpose(1, 2, 0))
    with pytest.raises(InputError, match='cannot read band 6 of .*a.tif: its bands are 1 to 5'):
        open_source(path, ReadOptions((1, 6)))


def test_only_a_few_rows_are_read_at_once(tmp_path):
    source = open_source(write_raster(tmp_path / 'a.tif', random_bands(), **TILES))
    read, heights = source.file, []

    class Recorder:
        def read(self, *args, window):
            heights.append(window.height)
            return read.read(*args, window=window)

    source.file = Recorder()
    reader = source.reader()
    for start in range(0, 301, 7):
        reader.read(start, min(start + 7, 301))
    assert max(heights) == 32 and sum(heights) == 301  # one row of tiles, and each only once
    read.close()


def test_alpha_is_a_mask_and_no_band(tmp_path):
    bands = random_bands(4)
    bands[3] = np.where(bands[3] > 99, 255, 0)
    path = write_raster(tmp_path / 'a.tif', bands, photometric='rgb', alpha='yes')
    with rasterio.open(path) as file:
        assert file.colorinterp[3] == ColorInterp.alpha
    assert np.array_equal(read_rows(open_source(path)), bands[2::-1].transpose(1, 2, 0))
    assert np.array_equal(valid_rows(open_source(path)), bands[3] > 0)
    with open_source(path, ReadOptions((1, 2, 3, 4))) as source:
        assert source.valid(0, 301) is None  # chosen as a band, it is not alpha


def test_pixels_without_data_are_known(tmp_path):
    bands = random_bands(3, 'int16')
    bands[:, 50:90, 20:] = -9999
    bands[0, :30, :30] = -9999  # in one band only
    expected = np.ones(bands.shape[1:], bool)
    expected[50:90, 20:] = False
    path = write_raster(tmp_path / 'a.tif', bands, nodata=-9999)
    assert np.array_equal(valid_rows(open_source(path, AS_STORED)), expected)
    with open_source(write_raster(tmp_path / 'b.tif', bands), AS_STORED) as source:
        assert source.valid(0, 301) is None
    with rasterio.open(tmp_path / 'b.tif', 'r+') as file:
        file.write_mask(expected)
    assert np.array_equal(valid_rows(open_source(tmp_path / 'b.tif', AS_STORED)), expected)
    floats = random_bands(3, 'float32')
    floats[1, ~expected] = np.nan
    path = write_raster(tmp_path / 'c.tif', floats)
    assert np.array_equal(valid_rows(open_source(path, AS_STORED)), expected)


@pytest.mark.parametrize('options', [TILES, dict(TILES, compress='lzw')], ids=['plain', 'lzw'])
def test_a_damaged_tile_is_named_by_file_and_window(tmp_path, options):
    path = write_raster(tmp_path / 'a.tif', random_bands(), **options)
    with tifffile.TiffFile(path) as file:
        # The tile at row 3 and column 1 of a grid of 10 x 3 lies beyond the end of the file.
        place = file.pages[0].tags['TileOffsets']
        values = list(place.value)
    values[3 * 3 + 1] = 10**6
    with tifffile.TiffFile(path, mode='r+b') as file:
        file.pages[0].tags['TileOffsets'].overwrite(values)
    assert read_rows(open_source(path), (0, 96)).any()
    with pytest.raises(InputError, match='cannot read .*a.tif: the window of rows 96 to 128 and columns 64 to 128 is'):
        read_rows(open_source(path))


def test_missing_content_is_never_read_as_zeros(tmp_path):
    envi = write_raster(tmp_path / 'a.bsq', random_bands(), driver='ENVI')
    with envi.open('r+b') as file:
        file.truncate(5000)
    with pytest.raises(InputError, match='cannot read .*a.bsq: GDAL cannot open it'):
        open_source(envi)
    vrt = write_raster(tmp_path / 'b.vrt', random_bands(), driver='VRT')
    (tmp_path / 'b.copied.tif').unlink()
    with pytest.raises(InputError, match='cannot read .*b.vrt: .*b.copied.tif'):
        read_rows(open_source(vrt))
    jpeg = write_raster(tmp_path / 'c.jp2', random_bands(), driver='JP2OpenJPEG')
    with jpeg.open('r+b') as file:
        file.truncate(jpeg.stat().st_size // 2)
    with pytest.raises(InputError, match='cannot read .*c.jp2: the window of rows 0 to 301'):
        read_rows(open_source(jpeg))


def test_unusable_rasters_are_named(tmp_path, monkeypatch):
    path = write_raster(tmp_path / 'a.tif', random_bands().astype('float64'))
    with pytest.raises(InputError, match='cannot read .*a.tif: its values are float64, but must be uint8.*gdal_transl'):
        open_source(path)
    (tmp_path / 'notes.xyz').write_text('not a raster')
    with pytest.raises(InputError, match='cannot read .*notes.xyz: GDAL cannot open it'):
        open_source(tmp_path / 'notes.xyz')
    monkeypatch.setattr('xcit_mm.inference.sources.packages.find_spec', lambda name: name != 'rasterio' or None)
    with pytest.raises(InputError, match="a.tif needs rasterio: pip install 'xcit_mm\\[geo\\]'"):
        open_source(path)


def test_all_paths_see_the_same_pixels_of_an_rgb_raster(tmp_path):
    bands = random_bands()
    path = write_raster(tmp_path / 'a.tif', bands, photometric='rgb', **TILES)
    assert np.array_equal(read_image(path), read_rows(open_source(path)))
    write_raster(tmp_path / 'b.png', bands, driver='PNG')
    source = open_source(tmp_path / 'b.png', ReadOptions((1, 2, 3)))
    assert np.array_equal(read_image(tmp_path / 'b.png'), read_rows(source))


def test_masks_of_other_bands_do_not_count(tmp_path):
    bands = random_bands(4, 'int16')
    bands[:3, 40:60] = -9999
    path = write_raster(tmp_path / 'a.tif', bands, nodata=-9999)
    expected = np.ones(bands.shape[1:], bool)
    expected[40:60] = False
    assert np.array_equal(valid_rows(open_source(path, ReadOptions((1, 2, 3), as_stored=True))), expected)
    assert valid_rows(open_source(path, ReadOptions((4, ), as_stored=True))).all()


def test_indices_into_a_colour_table_are_refused(tmp_path):
    path = write_raster(tmp_path / 'a.tif', random_bands(1))
    with rasterio.open(path, 'r+') as file:
        file.write_colormap(1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255)})
    with pytest.raises(InputError, match='its values are indices into a colour table'):
        open_source(path, ReadOptions((1, 1, 1)))
