"""Slides: areas that were not scanned have no data, and errors name the file and the window."""
import numpy as np
import pytest
import tifffile
from pyramids import random_levels, write_slide

from xcit_mm.errors import InputError
from xcit_mm.inference.sources import ReadOptions, SlideFile, TiffFile, open_source

LEICA = '''<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">
<collection name="a" sizeX="200000" sizeY="400000"><image name="a"><pixels sizeX="144" sizeY="304">
<dimension sizeX="144" sizeY="304" r="0" ifd="0"/><dimension sizeX="72" sizeY="152" r="1" ifd="1"/></pixels>
<view sizeX="144000" sizeY="304000" offsetX="20000" offsetY="10000"/><scanSettings><objectiveSettings>
<objective>20</objective></objectiveSettings><illuminationSettings><illuminationSource>brightfield</illuminationSource>
</illuminationSettings></scanSettings></image></collection></scn>'''


def change_tile(path, number, offset=None, count=None):
    """Change where a TIFF file says that a tile lies, or how many bytes it has."""
    with tifffile.TiffFile(path, mode='r+b') as file:
        for name, value in (('TileOffsets', offset), ('TileByteCounts', count)):
            if value is not None:
                tag = file.pages[0].tags[name]
                values = list(tag.value)
                values[number] = value
                tag.overwrite(values)


def test_areas_that_were_not_scanned_have_no_data(tmp_path):
    levels = random_levels()
    path = write_slide(tmp_path / 'a.svs', levels)
    change_tile(path, 4, offset=0, count=0)  # the tile at row 1 and column 1 of a grid of 5 x 3
    expected = np.ones((304, 144), bool)
    expected[64:128, 64:128] = False
    with open_source(path) as source:
        assert np.array_equal(np.concatenate([source.valid(0, 70), source.valid(70, 304)]), expected)
        assert np.array_equal(source.reader().read_all().numpy()[expected], levels[0][expected][:, ::-1])


def test_only_the_scanned_area_is_read(tmp_path):
    """As in QuPath, coordinates begin at its corner."""
    levels = random_levels()
    path = tmp_path / 'a.scn'
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for level, pixels in enumerate(levels[:2]):
            file.write(pixels, tile=(64, 64), photometric='rgb', compression='jpeg', compressionargs=dict(level=100),
                       metadata=None, **({} if level else dict(description=LEICA)))
    for level in range(2):
        with open_source(path, ReadOptions(level=level, as_stored=True)) as source:
            assert (source.height, source.width) == levels[level].shape[:2] and isinstance(source, SlideFile)
            assert source.valid(0, source.height).all()
            decoded = tifffile.imread(path, key=level)
            difference = source.reader().read_all().numpy().astype(int) - decoded
            assert np.abs(difference).mean() < 2  # two decoders of JPEG differ a little


def test_a_damaged_tile_is_named_by_file_and_window(tmp_path):
    path = write_slide(tmp_path / 'a.tif', random_levels((600, 144)))
    change_tile(path, 7 * 3, offset=10**6)  # the tile at row 7 of a grid of 10 x 3 lies beyond the end of the file
    with open_source(path, ReadOptions(level=0)) as source:
        reader = source.reader()
        assert reader.read(0, 256).any()
        with pytest.raises(InputError, match='cannot read .*a.tif: the window of rows 256 to 512 and columns 0 to 144'):
            reader.read(256, 600)


def test_a_slide_in_a_tiff_file_is_recognised_without_options(tmp_path, monkeypatch):
    levels = random_levels()
    slide = write_slide(tmp_path / 'a.svs', levels).rename(tmp_path / 'a.tif')
    generic = write_slide(tmp_path / 'b.tif', levels)
    with open_source(slide) as source:
        assert type(source) is SlideFile and source.microns == (0.25, 0.25)
        assert np.array_equal(source.reader().read_all().numpy(), levels[0][..., ::-1])
    with open_source(generic) as source:
        assert type(source) is TiffFile
    monkeypatch.setattr('xcit_mm.inference.sources.choose.find_spec', lambda name: None)
    with pytest.raises(InputError, match='several images'):  # the thumbnail
        open_source(slide)


def test_files_that_are_no_slides_are_named(tmp_path, monkeypatch):
    path = tmp_path / 'a.svs'
    with pytest.raises(InputError, match=f'no image file {path}'):
        open_source(path)
    path.write_text('no slide')
    with pytest.raises(InputError, match=f'cannot read {path}: OpenSlide cannot open it'):
        open_source(path)
    write_slide(path, random_levels())
    with path.open('r+b') as file:
        file.truncate(100)
    with pytest.raises(InputError, match=f'cannot read {path}: OpenSlide cannot open it'):
        open_source(path)
    monkeypatch.setattr('xcit_mm.inference.sources.packages.find_spec', lambda name: name != 'openslide' or None)
    with pytest.raises(InputError, match=r"a.svs needs openslide: pip install 'xcit_mm\[slides\]'"):
        open_source(path)
