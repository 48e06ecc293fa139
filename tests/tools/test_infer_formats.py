"""One command segments a file in any format; results lie where the pixels were."""
import numpy as np
import pytest
import rasterio
import tifffile
from affine import Affine
from messages import is_one_line
from pyogrio.raw import read
from pyramids import MICRONS, chunk_files, write_ome_tiff, write_ome_zarr, write_slide
from rasters import PLACE, write_raster
from scipy import ndimage
from shapely import from_wkb

DIGITS = 'configs/xcit_upernet_digits.py'
RASTERS = dict(strips=('tif', dict()), tiles=('tif', dict(tiled=True, blockxsize=64, blockysize=64)),
               bigtiff=('tif', dict(BIGTIFF='YES')), cog=('tif', dict(driver='COG', ADD_ALPHA='NO')),
               jpeg2000=('jp2', dict(driver='JP2OpenJPEG', REVERSIBLE='YES', QUALITY='100')))
PYRAMIDS = {'a.svs': write_slide, 'a.tif': write_slide, 'a.ome.tif': write_ome_tiff, 'a.zarr': write_ome_zarr}


@pytest.fixture
def levels():
    """Return two levels (H, W, 3) of an image with large and small things, each half as high and wide as the other."""
    random = np.random.default_rng(0).random((152, 72, 3))
    smooth = sum(ndimage.gaussian_filter(random, (sigma, sigma, 0)) * sigma for sigma in (1, 4, 9))
    pixels = ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
    return [pixels.repeat(2, axis=0).repeat(2, axis=1), pixels]


def segment(run_here, weights, path, *options):
    assert run_here('infer', DIGITS, weights, path, '--out', path.parent / 'out', *options) is None
    return sorted(file.name for file in (path.parent / 'out').iterdir() if not file.name.startswith('.'))




def labels_of(path):
    with rasterio.open(path) as file:
        return file.read(1)


@pytest.mark.parametrize('name', [*RASTERS, 'vrt', 'mask'])
def test_every_raster_gives_the_same_map(run_here, tmp_path, weights, levels, name):
    bands = levels[1].transpose(2, 0, 1)
    plain = write_raster(tmp_path / 'plain.tif', bands)
    segment(run_here, weights, plain)
    expected = labels_of(tmp_path / 'out/plain_classes.tif')
    if name == 'vrt':
        path = mosaic(tmp_path, bands)
    elif name == 'mask':
        path = with_mask_band(tmp_path, bands)
    else:
        suffix, options = RASTERS[name]
        path = write_raster(tmp_path / f'a.{suffix}', bands, **options)
    segment(run_here, weights, path)
    with rasterio.open(tmp_path / 'out/a_classes.tif') as file:
        assert file.crs == PLACE['crs'] and file.transform.almost_equals(PLACE['transform']) and file.nodata == 255
        labels = file.read(1)
    if name == 'mask':
        assert (labels[:40] == 255).all() and (labels[40:] < 255).all()
    else:
        assert np.array_equal(labels, expected) and len(np.unique(labels)) > 1


def mosaic(folder, bands):
    """Write a raster as four files and a VRT of them."""
    _, height, width = bands.shape
    sources = []
    for top in (0, height // 2):
        for left in (0, width // 2):
            part = bands[:, top:top + height // 2, left:left + width // 2]
            name = f'part_{top}_{left}.tif'
            write_raster(folder / name, part, transform=PLACE['transform'] @ Affine.translation(left, top))
            box = f'xOff="{{}}" yOff="{{}}" xSize="{width // 2}" ySize="{height // 2}"'
            sources.append(f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
                           f'<SourceBand>{{}}</SourceBand><SrcRect {box.format(0, 0)}/>'
                           f'<DstRect {box.format(left, top)}/></SimpleSource>')
    with rasterio.open(folder / 'plain.tif') as file:
        place = ', '.join(map(str, file.transform.to_gdal()))
    text = ''.join(f'<VRTRasterBand dataType="Byte" band="{band}">' + ''.join(each.format(band) for each in sources) +
                   '</VRTRasterBand>' for band in (1, 2, 3))
    (folder / 'a.vrt').write_text(f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{PLACE["crs"]}</SRS>'
                                  f'<GeoTransform>{place}</GeoTransform>{text}</VRTDataset>')
    return folder / 'a.vrt'


def with_mask_band(folder, bands):
    """Write a COG whose mask band leaves out the first 40 rows."""
    raw = write_raster(folder / 'raw.tif', bands)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(raw, 'r+') as file:
        mask = np.full(bands.shape[1:], 255, np.uint8)
        mask[:40] = 0
        file.write_mask(mask)
    rasterio.shutil.copy(raw, folder / 'a.tif', driver='COG', COMPRESS='DEFLATE')
    return folder / 'a.tif'


@pytest.mark.parametrize('name', PYRAMIDS)
@pytest.mark.parametrize('option', ['level', 'microns'])
def test_every_pyramid_gives_the_same_map_and_polygons_in_pixels_of_level_0(run_here, tmp_path, weights, levels, name,
                                                                            option):
    size = dict(resolution=(1e4 / MICRONS, ) * 2, resolutionunit='CENTIMETER') if name == 'a.tif' else {}
    path = PYRAMIDS[name](tmp_path / name, levels, **size)
    plain = write_raster(tmp_path / 'plain.tif', levels[1].transpose(2, 0, 1))
    segment(run_here, weights, plain)
    options = ['--level', '1'] if option == 'level' else ['--microns-per-pixel', str(2 * MICRONS)]
    stem = path.name.removesuffix(path.suffix)
    assert segment(run_here, weights, path, *options, '--polygons', 'geojson', '--min-area', '8')[:2] == [
        f'{stem}_classes.geojson', f'{stem}_classes.ome.tif']
    with tifffile.TiffFile(tmp_path / f'out/{stem}_classes.ome.tif') as file:
        labels = file.asarray()
        assert f'PhysicalSizeX="{2 * MICRONS}"' in file.ome_metadata
    assert np.array_equal(labels, labels_of(tmp_path / 'out/plain_classes.tif'))
    meta, _, shapes, columns = read(tmp_path / f'out/{stem}_classes.geojson')
    areas = dict(zip(meta['fields'], columns))['area']
    polygons = from_wkb(shapes)
    # A pixel of level 1 has an area of 4 pixels of level 0; regions of only one are too small.
    regions = [ndimage.label(labels == label)[0] for label in np.unique(labels[labels > 0])]
    sizes = np.concatenate([np.bincount(each.ravel())[1:] for each in regions])
    assert sorted(areas) == sorted(4 * sizes[sizes > 1]) == sorted(polygon.area for polygon in polygons)
    right, bottom = np.max([polygon.bounds[2:] for polygon in polygons], axis=0)
    assert levels[1].shape[1] < right <= levels[0].shape[1] and levels[1].shape[0] < bottom <= levels[0].shape[0]


@pytest.mark.parametrize('name', ['a.svs', 'a.ome.tif', 'a.zarr'])
def test_a_damaged_pyramid_is_named_by_file_and_window(run_here, tmp_path, weights, levels, name):
    path = PYRAMIDS[name](tmp_path / name, levels)
    if path.is_dir():
        chunk_files(path / '0')[-1].write_bytes(b'')
    else:
        with tifffile.TiffFile(path, mode='r+b') as file:
            page = file.pages.first
            tag = page.tags['TileOffsets']
            tag.overwrite([*tag.value[:-1], 10**7])
    said = run_here('infer', DIGITS, weights, path, '--out', tmp_path / 'out', '--level', '0')
    assert is_one_line(said, f'cannot read {path}: the window of rows', 'is damaged or missing')
    assert not [file for file in (tmp_path / 'out').iterdir() if not file.name.startswith('.')]
