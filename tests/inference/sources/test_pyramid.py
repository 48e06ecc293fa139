"""A level of a pyramid arrives as it is stored, whatever the format; other pixel sizes are means over areas."""
import numpy as np
import pytest
from pyramids import random_levels, write_ome_tiff, write_ome_zarr, write_slide

from xcit_mm.errors import InputError
from xcit_mm.inference.sources import OmeTiff, ReadOptions, SlideFile, TiffFile, ZarrImage, open_source

FORMATS = {
    'a.svs': (SlideFile, write_slide, dict()), 'a.tif': (SlideFile, write_slide, dict()),
    'a.ome.tif': (OmeTiff, write_ome_tiff, dict()), 'b.ome.tif': (OmeTiff, write_ome_tiff, dict(axes='YXS')),
    'c.ome.tif': (OmeTiff, write_ome_tiff, dict(tile=None, compression=None)),
    'a.zarr': (ZarrImage, write_ome_zarr, dict(version='0.4')), 'b.ome.zarr': (ZarrImage, write_ome_zarr, dict())}
PLACED = dict(resolution=(40000, 40000), resolutionunit='CENTIMETER')  # 0.25 µm per pixel


def read(path, ends=(), **options):
    """Read an image and its mask between the given rows."""
    with open_source(path, ReadOptions(**options)) as source:
        ends = [0, *(end for end in ends if end < source.height), source.height]
        reader, bands = source.reader(), list(zip(ends, ends[1:]))
        masks = [source.valid(start, stop) for start, stop in bands[::-1]][::-1]
        mask = None if masks[0] is None else np.concatenate(masks)
        return np.concatenate([reader.read(*band).numpy() for band in bands]), mask, source


@pytest.mark.parametrize('name', FORMATS)
def test_every_pixel_of_a_level_arrives(tmp_path, name):
    kind, write, options = FORMATS[name]
    levels = random_levels()
    path = write(tmp_path / name, levels, **options)
    for level, expected in enumerate(levels):
        pixels, mask, source = read(path, (1, 40, 41, 70, 200), level=level)
        assert type(source) is kind and np.array_equal(pixels, expected[..., ::-1])  # BGR
        assert mask is None or mask.all()
        assert source.georeference is None if level == 0 else (
            source.georeference == (None, (2.0**level, 0, 0, 0, 2.0**level, 0)))
        assert np.array_equal(read(path, level=level, as_stored=True)[0], expected)
        assert np.array_equal(read(path, level=level, as_stored=True, bands=(2, 2, 1))[0], expected[..., [1, 1, 0]])
    sizes = r'0 \(144 x 304 px\), 1 \(72 x 152 px\), 2 \(36 x 76 px\)'
    with pytest.raises(InputError, match=f'cannot read level 3 of .*{name}: its levels are {sizes}'):
        open_source(path, ReadOptions(level=3))
    with pytest.raises(InputError, match=f'cannot read band 4 of .*{name}: its bands are 1 to 3'):
        open_source(path, ReadOptions(bands=(4, 1), level=0))


@pytest.mark.parametrize('name', FORMATS)
def test_pixels_of_another_size_are_means_over_their_area(tmp_path, name):
    _, write, options = FORMATS[name]
    levels = random_levels()
    path = write(tmp_path / name, levels, **options, **(PLACED if name == 'a.tif' else {}))
    assert np.array_equal(read(path, microns_per_pixel=0.5005)[0], levels[1][..., ::-1])  # to within 1 %
    expected = levels[1][:150].repeat(2, axis=0).repeat(2, axis=1)  # 0.75 µm: level 1, of 0.5 µm, is reduced
    expected = expected.reshape(100, 3, 48, 3, 3).mean(axis=(1, 3))
    whole, _, source = read(path, microns_per_pixel=0.75, as_stored=True)
    assert source.view.level == 1 and source.georeference.transform == (3.0, 0, 0, 0, 3.0, 0)
    assert source.microns == pytest.approx((0.75, 0.75)) and read(path, level=1)[2].microns == (0.5, 0.5)
    assert whole.shape == (101, 48, 3) and np.abs(whole[:100] - expected).max() <= 0.5001
    in_bands = read(path, (1, 2, 30, 31, 77), microns_per_pixel=0.75, as_stored=True)[0]
    assert np.array_equal(in_bands, whole)
    with pytest.raises(InputError, match='0.1 microns per pixel: its finest pixels measure 0.25 microns'):
        open_source(path, ReadOptions(microns_per_pixel=0.1))


def test_the_mean_leaves_out_pixels_without_data(tmp_path):
    pixels = np.full((96, 64, 1), 8, np.float32)
    pixels[40:, 20:], pixels[40, 20] = np.nan, 4  # one quarter of a pixel of twice the size, which is not enough
    path = write_ome_zarr(tmp_path / 'a.zarr', [pixels])
    means, mask, _ = read(path, (7, 30), microns_per_pixel=0.5, as_stored=True)
    assert np.array_equal(mask, np.isfinite(pixels[::2, ::2, 0]) & np.isfinite(pixels[1::2, 1::2, 0]))
    assert (means[mask] == 8).all() and means[20, 10] == 4
    assert np.array_equal(read(path, as_stored=True)[1], np.isfinite(pixels[..., 0]))


@pytest.mark.parametrize('dtype', ['uint16', 'int16', 'float32'])
@pytest.mark.parametrize('write, name', [(write_ome_tiff, 'a.ome.tif'), (write_ome_zarr, 'a.zarr')])
def test_values_and_channels_are_as_stored(tmp_path, dtype, write, name):
    levels = random_levels(bands=5, dtype=dtype)
    path = write(tmp_path / name, levels)
    pixels = read(path, as_stored=True)[0]
    assert np.array_equal(pixels, levels[0]) and pixels.dtype == ('int32' if dtype == 'uint16' else dtype)
    if dtype == 'uint16':
        assert np.array_equal(read(path)[0], levels[0] // 256)
    else:
        with pytest.raises(InputError, match=f'its values are {dtype}, but the config loads 8-bit images'):
            open_source(path)


def test_an_unknown_pixel_size_and_useless_options_are_refused(tmp_path):
    levels = random_levels()
    slide = write_slide(tmp_path / 'a.tif', levels)
    flat = write_slide(tmp_path / 'flat.tif', levels[:1], tile=None)
    zarr = write_ome_zarr(tmp_path / 'a.zarr', levels, unit='parsec')
    for path in (slide, zarr):
        with pytest.raises(InputError, match=f'{path} at 0.5 microns per pixel: the file does not give the size'):
            open_source(path, ReadOptions(microns_per_pixel=0.5))
    with open_source(slide) as source:
        assert type(source) is TiffFile  # as long as no level is chosen
    for path in (flat, tmp_path / 'a.png'):
        (tmp_path / 'a.png').write_bytes(b'\x89PNG\r\n\x1a\n')
        for options in (dict(level=0), dict(microns_per_pixel=0.5), dict(level=0, bands=(1, ))):
            with pytest.raises(InputError, match=f'cannot read {path} at another resolution'):
                open_source(path, ReadOptions(**options))
    for options, reason in ((dict(level=1, microns_per_pixel=0.5), 'either a level or microns per pixel, not both'),
                            (dict(microns_per_pixel=-1), 'must be above 0, but got -1')):
        with pytest.raises(InputError, match=reason):
            open_source(slide, ReadOptions(**options))
