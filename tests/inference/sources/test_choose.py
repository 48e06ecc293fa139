"""A file's content and suffix decide which source reads it."""
from PIL import Image
from rasters import random_bands, write_raster

from xcit_mm.inference.sources import (
    SOURCES,
    ImageFile,
    RasterFile,
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
