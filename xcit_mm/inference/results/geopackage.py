"""Label maps as polygons in a GeoPackage."""
from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...files import scratch_folder
from .part import Part
from .polygons import IN_PIXELS, Features, PolygonSink
from .record import result_file
from .sink import SINKS, ResultMeta


@SINKS.register_module(name='gpkg')
class GeoPackage(PolygonSink):
    """Write ``<name>_classes.gpkg``: polygons in the CRS of the image, or in pixels; see ``PolygonSink``."""

    summary = 'a GeoPackage of polygons with class, name and area'
    packages = 'pyogrio', 'shapely'
    endings = ('_classes.gpkg', )

    def write(self, folder: Path, parts: Iterable[Part], meta: ResultMeta) -> None:
        from pyogrio.errors import DataLayerError, DataSourceError
        from pyogrio.raw import write

        crs = (meta.georeference or IN_PIXELS).crs
        columns = {'class': np.empty(0, np.int32), 'name': np.empty(0, object), 'area': np.empty(0)}
        if self.scores:
            columns['score'] = np.empty(0)
        with result_file(folder / f'{meta.name}_classes.gpkg') as file, scratch_folder(file) as scratch:
            target = scratch / 'polygons.gpkg'  # SQLite adds files beside it
            try:
                _append(write, target, Features(np.empty(0, object), np.empty(0, np.int32), columns), crs)
                for features in self.features(parts, meta):
                    _append(write, target, features, crs)
            except (DataSourceError, DataLayerError) as error:
                raise InputError(f'cannot write {folder / f"{meta.name}_classes.gpkg"}: {error}') from None
            os.replace(target, file)


def _append(write: Any, path: Path, features: Features, crs: str | None) -> None:
    """Write polygons to a GeoPackage, creating it if needed."""
    import shapely

    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', "'crs' was not provided")  # coordinates in pixels have none
        write(path, shapely.to_wkb(features.geometry), list(features.columns.values()), list(features.columns),
              layer='classes', driver='GPKG', geometry_type='Polygon', crs=crs, append=path.exists())
