"""Channels of an OME-TIFF are bands; stacks and several images are refused in one line."""
import numpy as np
import pytest
import tifffile
from pyramids import random_levels, write_ome_tiff

from xcit_mm.errors import InputError
from xcit_mm.inference.sources import OmeTiff, ReadOptions, TiffFile, is_picture, open_source


def test_the_content_decides_which_source_reads_an_ome_tiff(tmp_path):
    levels = random_levels()
    kinds = {'channels': OmeTiff, 'samples': OmeTiff, 'strips': TiffFile}  # strips in colour are a picture
    for name, options in (('channels', dict()), ('samples', dict(axes='YXS')), ('strips', dict(axes='YXS', tile=None))):
        path = write_ome_tiff(tmp_path / f'{name}.ome.tif', levels, **options)
        with open_source(path) as source:
            assert type(source) is kinds[name]
            assert np.array_equal(source.reader().read_all().numpy(), levels[0][..., ::-1])
        assert is_picture(path) == (name == 'strips')


@pytest.mark.parametrize('axes, shape, reason', [
    ('ZYX', (5, 40, 30), 'a stack of 5 slices; convert .* bfconvert'), ('TCYX', (2, 3, 40, 30), '2 time points; conv')])
def test_stacks_and_time_series_are_refused(tmp_path, axes, shape, reason):
    path = tmp_path / 'a.ome.tif'
    tifffile.imwrite(path, np.zeros(shape, np.uint8), photometric='minisblack', metadata=dict(axes=axes), ome=True)
    with pytest.raises(InputError, match=f'cannot read {path}: it holds {reason}'):
        open_source(path)


def test_several_images_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.ome.tif') as file:
        for _ in range(2):
            file.write(np.zeros((3, 40, 30), np.uint8), photometric='minisblack', metadata=dict(axes='CYX'))
    with pytest.raises(InputError, match='a.ome.tif: it holds 2 images; convert'):
        open_source(tmp_path / 'a.ome.tif')


@pytest.mark.parametrize('compression', ['zlib', None], ids=str)
def test_a_damaged_tile_is_named_by_file_and_window(tmp_path, compression):
    path = write_ome_tiff(tmp_path / 'a.ome.tif', random_levels((600, 144))[:1], compression=compression)
    with tifffile.TiffFile(path, mode='r+b') as file:
        tag = file.pages[1].tags['TileOffsets']
        tag.overwrite([*tag.value[:21], 10**7, *tag.value[22:]])  # at row 4 and column 1 of a grid of 10 x 5
    with open_source(path) as source:
        reader = source.reader()
        assert reader.read(0, 256).any()
        with pytest.raises(InputError, match='a.ome.tif: the window of rows 256 to 320 and columns 32 to 64'):
            reader.read(256, 257)


@pytest.mark.parametrize('bigtiff', [False, True])
def test_a_file_that_lost_its_description_is_not_read_as_its_first_channel(tmp_path, bigtiff):
    """Bio-Formats writes the description last."""
    path = tmp_path / 'a.ome.tif'
    pixels = random_levels()[0].transpose(2, 0, 1)
    tifffile.imwrite(path, pixels, photometric='minisblack', metadata=dict(axes='CYX'), ome=True, bigtiff=bigtiff)
    with tifffile.TiffFile(path, mode='r+b') as file:
        file.pages.first.tags[270].overwrite(file.ome_metadata + ' ' * 100)  # is moved to the end
    assert np.array_equal(open_source(path).reader().read_all().numpy(), pixels[::-1].transpose(1, 2, 0))
    path.write_bytes(path.read_bytes()[:-150])
    with pytest.raises(InputError, match=f'cannot read {path}: it is damaged or incomplete: its description'):
        open_source(path)


def test_alpha_is_no_band_and_other_colour_spaces_are_refused(tmp_path):
    pixels = random_levels(bands=4)[0]
    options = dict(tile=(64, 64), metadata=dict(axes='YXS'), ome=True)
    path = tmp_path / 'a.ome.tif'
    for meaning, expected in (('unassalpha', pixels[..., 2::-1]), ('unspecified', pixels)):
        tifffile.imwrite(path, pixels, photometric='rgb', extrasamples=[meaning], **options)
        with open_source(path, ReadOptions(level=0)) as source:
            assert np.array_equal(source.reader().read_all().numpy(), expected)
    with open_source(path, ReadOptions((4, ))) as source:
        assert np.array_equal(source.reader().read_all().numpy(), pixels[..., 3:])
    tifffile.imwrite(path, pixels, photometric='separated', **options)
    with pytest.raises(InputError, match=f'cannot read {path}: its colour space is SEPARATED; convert it to grey or'):
        open_source(path)
