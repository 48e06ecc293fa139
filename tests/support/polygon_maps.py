"""Label maps, their polygons as sinks write them, and as GDAL traces them."""
import numpy as np
import rasterio
import shapely
import torch
from pyogrio.raw import read
from rasterio.features import shapes
from rasters import CRS, TRANSFORM
from shapely.geometry import shape

from xcit_mm.inference.results import Part, ResultMeta
from xcit_mm.inference.sources import GeoReference

PLACE = GeoReference(rasterio.CRS.from_string(CRS).to_wkt(), tuple(TRANSFORM)[:6])
CLASSES, PALETTE = ('background', 'field', 'forest', 'water'), [[0, 0, 0], [200, 200, 0], [0, 128, 0], [0, 0, 255]]
RING = np.pad(np.pad([[1, 1, 2], [1, 0, 1], [1, 1, 1]], 1), 1, constant_values=1)  # holes that touch at corners


def random_maps():
    random = np.random.default_rng(0)
    yield 'single pixel', np.array([[1]])
    yield 'rings', RING
    yield 'rows', np.arange(12)[:, None] % 4 * np.ones(9, int)
    yield 'comb', np.where(np.arange(30)[:, None] == 29, 1, np.arange(21) % 2)  # joined by its last row only
    for size in ((1, 40), (40, 1), (31, 33), (64, 50)):
        yield f'noise {size}', random.integers(0, 4, size)
        yield f'patches {size}', np.kron(random.integers(0, 3, size), np.ones((3, 4), int))
        yield f'islands {size}', (random.random(size) < 0.7) * 3


MAPS = dict(random_maps())


def write(kind, folder, labels, rows=7, place=PLACE, palette=PALETTE, **options):
    meta = ResultMeta('a', *labels.shape, CLASSES, palette, None, place)
    kind(**options).write(folder, map(Part, torch.from_numpy(labels).to(torch.uint8).split(rows)), meta)
    return folder / f'a{kind.endings[0]}'


def read_package(path):
    meta, _, geometries, columns = read(path)
    columns = dict(zip(meta['fields'], columns))
    return meta, shapely.from_wkb(geometries), columns


def by_gdal(labels, transform=TRANSFORM):
    """Return the class and the polygon of each region except background, traced in the whole map."""
    found = shapes(labels.astype(np.uint8), mask=labels > 0, connectivity=4, transform=transform)
    return [(int(label), shape(polygon)) for polygon, label in found if label != 255]


def in_order(pairs):
    return sorted((label, shapely.normalize(polygon).wkt) for label, polygon in pairs)
