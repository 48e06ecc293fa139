"""Polygons of a label map, ready to be written in some format."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from ...errors import InputError
from ..sources import GeoReference
from .outlines import Polygons, link
from .part import NO_PROBABILITY, PREDICTED, STEPS, Part
from .regions import Edges, complete_outlines, join
from .simplification import build, simplify
from .sink import ResultMeta, Sink, background

EDGES_AT_ONCE = 1 << 19  # to link and write together
IN_PIXELS = GeoReference(None, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))


class Features(NamedTuple):
    """Polygons with their attributes.

    Attributes:
        geometry: (n,) shapely polygons in the CRS of the image, or in pixels.
        label: (n,) class index.
        columns: (n,) values of each other attribute, by name.
    """
    geometry: np.ndarray
    label: np.ndarray
    columns: dict[str, np.ndarray]


class PolygonSink(Sink):
    """A sink that writes a polygon for each 4-connected region of a class.

    Its attributes are ``class`` (index), ``name`` and ``area`` in square units of the CRS; without a georeference,
    coordinates are in pixels. Background (class 0, if it is black) and pixels without data have no polygons. Only the
    outlines of the regions that reach the current row are in memory.

    Args:
        min_area: leave out regions below this area, in square units of the CRS.
        simplify: leave out points as long as none of them is farther from the new outline, in units of the CRS.
            Neighbours keep their common border. 0 keeps all corners of pixels.
        scores: add the attribute ``score``, the mean probability of the predicted class, 0 … 1.
    """

    packages: ClassVar[tuple[str, ...]] = ('shapely', )

    def __init__(self, min_area: float = 0.0, simplify: float = 0.0, scores: bool = False) -> None:
        for name, value in (('min_area', min_area), ('simplify', simplify)):
            if not 0 <= value < float('inf'):
                raise InputError(f'{name} must be a number from 0, but got {value}')
        self.min_area, self.tolerance, self.scores = min_area, simplify, scores

    def needed_classes(self, classes: Sequence[str]) -> Sequence[int]:
        return [PREDICTED] if self.scores else []

    def features(self, parts: Iterable[Part], meta: ResultMeta) -> Iterator[Features]:
        """Yield all polygons, many at a time, as soon as they are complete."""
        a, b, c, d, e, f = (meta.georeference or IN_PIXELS).transform
        for polygons, sums in polygonize(parts, meta, keep_junctions=self.tolerance > 0):
            area = polygons.pixels * abs(a * e - b * d)
            x, y = polygons.points.T.astype(np.float64)
            polygons = polygons._replace(points=np.column_stack((a * x + b * y + c, d * x + e * y + f)))
            geometry = simplify(polygons, self.tolerance) if self.tolerance else build(polygons)
            columns = {'class': polygons.label, 'name': np.array([meta.classes[label] for label in polygons.label],
                                                                object), 'area': area}
            if self.scores:
                columns['score'] = sums / polygons.pixels / STEPS
            is_large = area >= self.min_area
            yield Features(geometry[is_large], polygons.label[is_large],
                           {name: values[is_large] for name, values in columns.items()})


def polygonize(parts: Iterable[Part], meta: ResultMeta, keep_junctions: bool = False
               ) -> Iterator[tuple[Polygons, np.ndarray]]:
    """Yield the polygons of all classes except background, in pixel coordinates.

    Args:
        parts: from top to bottom.
        meta: describes the labels.
        keep_junctions: see ``link``.

    Yields:
        Polygons, and the sum of the probabilities of the predicted class over each of them (0 if they are unknown).
    """
    waiting: list[tuple[Edges, np.ndarray]] = []
    number = offset = 0
    for edges, sums in complete_outlines(map(_labels_and_steps, parts), [meta.nodata, *background(meta.palette)]):
        if len(edges.label):
            # Each band numbers its regions from 0.
            waiting.append((edges._replace(region=edges.region.astype(np.int64) + offset), sums))
            number, offset = number + len(edges.label), offset + len(sums)
        if number >= EDGES_AT_ONCE:
            yield _link(waiting, keep_junctions)
            waiting, number, offset = [], 0, 0
    if waiting:
        yield _link(waiting, keep_junctions)


def _link(waiting: list[tuple[Edges, np.ndarray]], keep_junctions: bool) -> tuple[Polygons, np.ndarray]:
    edges, sums = zip(*waiting)
    polygons = link(join(edges), keep_junctions)
    return polygons, np.concatenate(sums)[polygons.region]


def _labels_and_steps(part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and, in ``STEPS``, the probability of each pixel's label, which is 0 where it is unknown."""
    labels = part.labels.numpy()
    if PREDICTED not in part.probabilities:
        return labels, np.broadcast_to(np.uint8(0), labels.shape)
    steps = part.probabilities[PREDICTED].numpy()
    return labels, np.where(steps == NO_PROBABILITY, 0, steps)
