"""Simplify the outlines of polygons so that neighbours keep their common borders.

The outline of a region consists of arcs between junctions, where more than two regions meet. Two neighbours have an arc
in common. Each arc is simplified by the algorithm of Douglas and Peucker, always in the same direction, so both give
the same line, even if they are simplified at different times.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .outlines import Polygons


class Arcs(NamedTuple):
    """The arcs of some rings.

    Attributes:
        points: (m,) index of each point; the ends belong to two arcs.
        arc: (m,) the number of its arc.
        is_closed: (n,) whether an arc is a whole ring.
    """
    points: np.ndarray
    arc: np.ndarray
    is_closed: np.ndarray


def simplify(polygons: Polygons, tolerance: float) -> np.ndarray:
    """Return simplified polygons as shapely geometries, (n,).

    Polygons that would no longer be valid keep all their points.

    Args:
        polygons: linked with ``keep_junctions``.
        tolerance: the largest distance of a point that is left out from the new outline, in the units of the points.
    """
    import shapely

    polygons = _start_at_junctions(polygons)
    kept = _choose_points(polygons, tolerance)
    polygon = _owners(polygons)
    first = polygons.ring_starts[:-1]
    kept |= np.isin(polygon, polygon[first[np.add.reduceat(kept, first) < 4]])
    geometries = build(_where(polygons, kept))
    wrong = ~shapely.is_valid(geometries)
    if wrong.any():
        geometries = build(_where(polygons, kept | wrong[polygon]))
    return geometries


def build(polygons: Polygons) -> np.ndarray:
    """Return polygons as shapely geometries, (n,)."""
    import shapely

    return np.asarray(shapely.from_ragged_array(shapely.GeometryType.POLYGON, polygons.points,
                                                (polygons.ring_starts, polygons.polygon_starts)))


def _choose_points(polygons: Polygons, tolerance: float) -> np.ndarray:
    """Return which points to keep: (m,) bool."""
    import shapely

    points, kept = polygons.points, polygons.is_junction.copy()
    kept[polygons.ring_starts[:-1]] = kept[polygons.ring_starts[1:] - 1] = True
    whole = _cut(polygons, kept)
    kept[_farthest(points, whole)] = True  # otherwise, two arcs between the same junctions could coincide
    halves = _cut(polygons, kept)
    # The third coordinate, which simplification ignores, tells which points are left.
    lines = shapely.linestrings(np.column_stack((points[halves.points], halves.points)), indices=halves.arc)
    lines = shapely.simplify(lines, tolerance, preserve_topology=False)
    kept[shapely.get_coordinates(lines, include_z=True)[:, 2].astype(int)] = True
    left = kept[whole.points]
    lines = shapely.linestrings(points[whole.points[left]], indices=whole.arc[left])
    exact = whole.is_closed & (shapely.get_num_coordinates(lines) < 4) | ~shapely.is_simple(lines)
    kept[whole.points[exact[whole.arc]]] = True
    return kept


def _farthest(points: np.ndarray, arcs: Arcs) -> np.ndarray:
    """Return the index of the point of each arc that is farthest from the line between its ends: (n,).

    This is where the algorithm divides an arc first. For a closed arc, return the index of its start.
    """
    first = np.flatnonzero(np.diff(arcs.arc, prepend=-1))
    last = np.append(first[1:], len(arcs.arc)) - 1
    x, y = points[arcs.points].T
    x, y = x - x[first][arcs.arc], y - y[first][arcs.arc]
    distance = np.abs(x * y[last][arcs.arc] - y * x[last][arcs.arc])
    return np.asarray(arcs.points[np.lexsort((-distance, arcs.arc))[first]])


def _cut(polygons: Polygons, is_end: np.ndarray) -> Arcs:
    """Cut rings at the given points. Arcs of two neighbours have the same direction.

    Args:
        is_end: (m,) whether to cut at a point; True at the start and at the end of each ring.
    """
    ends = np.flatnonzero(is_end)
    ends = np.stack((ends[:-1], ends[1:]))
    start, stop = ends[:, ~np.isin(ends[1], polygons.ring_starts)]
    x, y = polygons.points.T
    is_closed = (x[start] == x[stop]) & (y[start] == y[stop])
    is_reversed = _is_less(polygons.points, stop, start) | is_closed & _is_less(polygons.points, stop - 1, start + 1)
    size = stop - start + 1
    arc = np.repeat(np.arange(len(size)), size)
    offset = np.arange(len(arc)) - np.repeat(np.cumsum(size) - size, size)
    return Arcs(np.where(is_reversed[arc], stop[arc] - offset, start[arc] + offset), arc, is_closed)


def _is_less(points: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Compare points, given by index, by x and then by y."""
    x, y = points.T
    return np.asarray((x[one] < x[other]) | (x[one] == x[other]) & (y[one] < y[other]))


def _start_at_junctions(polygons: Polygons) -> Polygons:
    """Rotate each ring so that it starts at a junction or, without one, at its first point by x and y."""
    first, size = polygons.ring_starts[:-1], np.diff(polygons.ring_starts) - 1
    ring = np.repeat(np.arange(len(first)), size + 1)
    order = np.lexsort((polygons.points[:, 1], polygons.points[:, 0], ~polygons.is_junction, ring))
    offset = np.arange(len(ring)) - first[ring] + (order[first] - first)[ring]
    index = first[ring] + offset % size[ring]
    return polygons._replace(points=polygons.points[index], is_junction=polygons.is_junction[index])


def _where(polygons: Polygons, kept: np.ndarray) -> Polygons:
    starts = np.append(0, np.cumsum(np.add.reduceat(kept, polygons.ring_starts[:-1])))
    return polygons._replace(points=polygons.points[kept], is_junction=polygons.is_junction[kept], ring_starts=starts)


def _owners(polygons: Polygons) -> np.ndarray:
    """Return which polygon each point belongs to: (m,)."""
    sizes = np.diff(polygons.ring_starts[polygons.polygon_starts])
    return np.repeat(np.arange(len(sizes)), sizes)
