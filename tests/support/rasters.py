"""Small rasters with a location on Earth."""
import numpy as np
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin

CRS, TRANSFORM = 'EPSG:32630', from_origin(440720.0, 100000.0, 0.5, 0.5)  # UTM zone 30N, pixels of 50 cm
PLACE = dict(crs=CRS, transform=TRANSFORM)


def random_bands(count=3, dtype='uint8', size=(301, 141)):
    """Return (count, *size) random values that use the whole range of an integer dtype; float32: -1 … 1."""
    random = np.random.default_rng(0)
    if dtype == 'float32':
        return random.uniform(-1, 1, (count, *size)).astype(dtype)
    return random.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (count, *size), dtype, endpoint=True)


def write_raster(path, bands, driver='GTiff', **options):
    """Write bands (count, H, W) as a raster; drivers that only copy get a GeoTIFF to copy."""
    options = PLACE | options
    target = path if driver in ('GTiff', 'ENVI') else path.with_suffix('.copied.tif')
    count, height, width = bands.shape
    with rasterio.open(target, 'w', driver=driver if target == path else 'GTiff', count=count, height=height,
                       width=width, dtype=bands.dtype, **(options if target == path else PLACE)) as file:
        file.write(bands)
    if target != path:
        extra = {key: value for key, value in options.items() if key not in PLACE}
        rasterio.shutil.copy(target, path, driver=driver, **extra)
    return path


def on_earth(corners, transform=TRANSFORM):
    """Return a polygon on Earth, given by its corners in pixels of a raster."""
    import shapely

    a, b, c, d, e, f = tuple(transform)[:6]
    return shapely.Polygon([(a * x + b * y + c, d * x + e * y + f) for x, y in corners])


def draw_polygons(path, polygons, values, attribute='class', crs=CRS, transform=TRANSFORM, **options):
    """Write polygons, given by their corners in pixels of a raster, with one attribute."""
    import pyogrio
    import shapely

    shapes = [on_earth(corners, transform) for corners in polygons]
    pyogrio.raw.write(path, shapely.to_wkb(shapes), [np.array(values)], [attribute], geometry_type='Polygon', crs=crs,
                      **options)
    return path
