"""Labels from polygons, which are drawn when they are read."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...classes import class_index, list_names
from ...errors import InputError
from ...inference.sources import Box, GeoReference, Source, quiet, require_package
from ...inference.sources.local_file import require_file
from .label_raster import IGNORED

SUFFIXES = ('.fgb', '.geojson', '.gpkg', '.json', '.shp')


class LabelPolygons:
    """Labels from a file of polygons: a pixel belongs to the last polygon in the file that contains its centre.

    All polygons are kept in memory, in pixels of the image.

    Args:
        path: a file with one layer of polygons. If its CRS differs from the image's, the polygons are reprojected.
        image: the image, open.
        classes: names of the classes.
        attribute: the attribute that contains each polygon's class, by name or index.
        background: the class of pixels outside all polygons; None to ignore them.

    Raises:
        InputError: the file cannot be read, lacks the attribute or contains anything but polygons, a polygon has no
            class or an unknown one, only one of file and image has a CRS, or no polygon lies on the image.
    """

    def __init__(self, path: Path, image: Source, classes: Sequence[str], attribute: str,
                 background: str | None = None) -> None:
        import shapely

        crs, geometries, values = _read(path, attribute)
        place = image.georeference or GeoReference(None, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
        self.polygons = _to_pixels(geometries, crs, place, path, image)
        self.labels = _to_labels(values, classes, path, attribute)
        self.outside = IGNORED if background is None else class_index(classes, background)
        self.tree = shapely.STRtree(self.polygons)
        if not len(self.tree.query(shapely.box(0, 0, image.width, image.height), 'intersects')):
            raise InputError(f'cannot use {path} as labels of {image.path}: none of its {len(values)} polygons lies on '
                             'the image; compare their coordinates and CRS')

    def read(self, box: Box) -> np.ndarray:
        """Return the labels of a part; see ``Labels``."""
        import shapely
        from rasterio import Affine
        from rasterio.features import rasterize

        labels = np.full((box.height, box.width), self.outside, np.uint8)
        found = np.sort(self.tree.query(shapely.box(box.left, box.top, box.right, box.bottom)))
        if len(found):
            with quiet():
                rasterize(zip(self.polygons[found], self.labels[found].tolist()), out=labels,
                          transform=Affine.translation(box.left, box.top))
        return labels


def _read(path: Path, attribute: str) -> tuple[str | None, np.ndarray, np.ndarray]:
    """Return the CRS, the polygons, and the values of an attribute; features without a geometry are left out."""
    require_package('pyogrio', f'reading {path}')
    require_file(path)
    import pyogrio
    import shapely
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        layers = pyogrio.list_layers(path)[:, 0]
        if len(layers) != 1:
            raise InputError(f'cannot use {path} as labels: it has {len(layers)} layers ({", ".join(layers[:9])}); '
                             'save the one with the polygons to a file')
        fields = pyogrio.read_info(path)['fields'].tolist()
        if attribute not in fields:
            raise InputError(f'cannot use {path} as labels: its polygons have no attribute {attribute!r}, only '
                             f'{list_names(fields)}; set class_attribute')
        meta, _, content, (values, ) = pyogrio.raw.read(path, columns=[attribute], force_2d=True)
    except (DataSourceError, DataLayerError) as error:
        raise InputError(f'cannot read {path}: {str(error).splitlines()[0]}') from None
    geometries = shapely.from_wkb(content)
    kept = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    geometries, values = geometries[kept], values[kept]
    if len(others := {geometry.geom_type for geometry in geometries} - {'Polygon', 'MultiPolygon'}):
        raise InputError(f'cannot use {path} as labels: it contains {", ".join(sorted(others))}; labels must be '
                         'polygons')
    return meta['crs'], geometries, values


def _to_pixels(geometries: np.ndarray, crs: str | None, place: GeoReference, path: Path, image: Source) -> np.ndarray:
    """Return polygons in pixels from the upper left corner of the image."""
    import shapely
    from rasterio import CRS, Affine
    from rasterio.errors import CRSError
    from rasterio.warp import transform

    if (crs is None) != (place.crs is None):
        without, known = (path, image.path) if crs is None else (image.path, path)
        raise InputError(f'cannot use {path} as labels of {image.path}: the CRS of {without} is unknown; assign one, '
                         f'e.g. that of {known}')
    to_pixels = ~Affine(*place.transform)

    def move(points: np.ndarray) -> np.ndarray:
        x, y = points.T
        if crs is not None and CRS.from_user_input(crs) != CRS.from_user_input(place.crs):
            x, y = map(np.asarray, transform(crs, place.crs, x, y))
        a, b, c, d, e, f = tuple(to_pixels)[:6]
        return np.stack((a * x + b * y + c, d * x + e * y + f), axis=1)

    try:
        with quiet():
            moved = shapely.transform(geometries, move)
    except CRSError as error:
        raise InputError(f'cannot use {path} as labels: its CRS cannot be read ({error})') from None
    if not np.isfinite(shapely.bounds(moved)).all():
        raise InputError(f'cannot use {path} as labels of {image.path}: some polygons cannot be converted from {crs} '
                         'to the CRS of the image; cut them to its area')
    return np.asarray(moved)


def _to_labels(values: np.ndarray, classes: Sequence[str], path: Path, attribute: str) -> np.ndarray:
    """Return the class index of each value, a name or an index: (polygons,) uint8."""
    texts = [_text(value) for value in values]
    indices: dict[str, int] = {}
    unknown = []
    for text in dict.fromkeys(texts):
        try:
            indices[text] = class_index(classes, text)
        except InputError:
            unknown.append(text or 'no value')
    if unknown:
        raise InputError(f'cannot use {path} as labels: {attribute} has values that are not classes: '
                         f'{list_names(unknown)}; the classes 0 … {len(classes) - 1} are {", ".join(classes)}')
    return np.array([indices[text] for text in texts], np.uint8)


def _text(value: Any) -> str:
    """Return a value as text; an index may be stored as a floating-point number. Missing values give ''."""
    if value is None or value != value:
        return ''
    return str(int(value)) if isinstance(value, (float, np.floating)) and value == int(value) else str(value)
