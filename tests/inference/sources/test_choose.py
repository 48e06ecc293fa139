"""A file's content and suffix decide which source reads it."""
import pytest
from PIL import Image
from rasters import random_bands, write_raster

from xcit_mm.errors import InputError
from xcit_mm.inference.sources import (
    SOURCES,
    ImageFile,
    RasterFile,
    ReadOptions,
    TiffFile,
    find_images,
    is_picture,
    open_source,
)

TILES = dict(tiled=True, blockxsize=64, blockysize=32)


def test_the_content_decides_which_source_reads_a_tiff(tmp_path):
    bands = random_bands()
    plain = dict(crs=None, transform=None)
    for name, kind, options in (
            ('a', RasterFile, dict()), ('b', RasterFile, dict(plain, nodata=0)), ('c', TiffFile, plain),
            ('d', TiffFile, dict(plain, **TILES))):
        with open_source(write_raster(tmp_path / f'{name}.tif', bands, photometric='rgb', **options)) as source:
            assert type(source) is kind, name
    assert [is_picture(tmp_path / f'{name}.tif') for name in 'abcd'] == [False, False, True, False]
    (tmp_path / 'c.tfw').write_text('0.5\n0\n0\n-0.5\n440720\n100000\n')
    with open_source(tmp_path / 'c.tif') as source:
        assert source.georeference.crs is None and source.georeference.transform[0] == 0.5
    assert len(find_images([tmp_path])) == 4


def test_a_registered_source_replaces_ours_for_its_suffix(tmp_path, monkeypatch):
    """Unless the content is in a format that it does not read."""
    class Mine(ImageFile):
        suffixes, formats = ('.png', ), ('PNG', )

    monkeypatch.setitem(SOURCES.module_dict, 'Mine', Mine)
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    Image.new('RGB', (8, 8)).save(tmp_path / 'b.png', format='BMP')
    assert type(open_source(tmp_path / 'a.png')) is Mine and type(open_source(tmp_path / 'b.png')) is ImageFile


def test_pictures_that_gdal_would_not_turn_upright_are_refused_with_bands(tmp_path):
    picture, turned = Image.new('RGB', (40, 60)), Image.Exif()
    turned[274] = 6  # orientation
    for name in ('a.jpg', 'b.png', 'c.tif'):
        picture.save(tmp_path / name, exif=turned)
        with pytest.raises(InputError, match=f'{name}.*orientation 6'):
            open_source(tmp_path / name, ReadOptions(bands=(1, 2, 3)))
    picture.save(tmp_path / 'd.webp', save_all=True, append_images=[Image.new('RGB', (40, 60), 'red')])
    with pytest.raises(InputError, match='d.webp: it is animated'):
        open_source(tmp_path / 'd.webp', ReadOptions(bands=(1, )))
    picture.save(tmp_path / 'e.png')
    with open_source(tmp_path / 'e.png', ReadOptions(bands=(2, ))) as source:
        assert (source.bands, source.height) == (1, 60)
