"""Link the edges of complete regions into polygons."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .regions import Edges


class Polygons(NamedTuple):
    """The polygons of n regions, each with one outer ring and any number of holes.

    Attributes:
        region, label: (n,) number and label of each region.
        pixels: (n,) number of pixels in it.
        points: (m, 2) x and y of the corners, px; the first corner of each ring is also its last.
        is_junction: (m,) whether more than two regions meet at a point.
        ring_starts: where each ring begins in ``points``, and where the last one ends.
        polygon_starts: where each polygon begins in ``ring_starts``, with its outer ring, and where the last one ends.
    """
    region: np.ndarray
    label: np.ndarray
    pixels: np.ndarray
    points: np.ndarray
    is_junction: np.ndarray
    ring_starts: np.ndarray
    polygon_starts: np.ndarray


def link(edges: Edges, keep_junctions: bool = False) -> Polygons:
    """Link edges into polygons. Rings are simple; those of one polygon may touch at corners, as OGC allows.

    Args:
        edges: all edges of at least one region.
        keep_junctions: whether to keep points on straight lines where other regions meet.
    """
    order, ring = _follow(_successors(edges))
    ends, region, label = edges.ends[:, order], edges.region[order], edges.label[order]
    before = np.arange(-1, len(ring) - 1)
    first = np.flatnonzero(np.diff(ring, prepend=-1))  # of each ring
    before[first] = np.append(first[1:], len(ring)) - 1
    direction = np.sign(ends[2:] - ends[:2])
    junction = edges.is_junction[0, order] | edges.is_junction[1, order[before]]
    is_corner = (direction != direction[:, before]).any(axis=0) | (junction & keep_junctions)
    ends, ring, junction = ends[:, is_corner], ring[is_corner], junction[is_corner]
    region, label = region[is_corner], label[is_corner]
    first = np.flatnonzero(np.diff(ring, prepend=-1))
    size = np.diff(first, append=len(ring))
    x, y = ends[:2].astype(np.int64)
    after = np.arange(1, len(ring) + 1)
    after[first + size - 1] = first
    area = np.add.reduceat(x * y[after] - x[after] * y, first) // 2  # negative for holes
    sequence = np.lexsort((area < 0, region[first]))
    first, size, area = first[sequence], size[sequence], area[sequence]
    starts = np.concatenate(([0], np.cumsum(size + 1)))
    # Corners of all rings in sequence, each ring followed by its first corner
    offset = np.arange(starts[-1]) - np.repeat(starts[:-1], size + 1)
    corners = np.repeat(first, size + 1) + offset % np.repeat(size, size + 1)
    polygons = np.flatnonzero(np.diff(region[first], prepend=-1))
    outer = first[polygons]
    return Polygons(region[outer], label[outer], np.add.reduceat(area, polygons), np.stack((x, y), axis=1)[corners],
                    junction[corners], starts, np.append(polygons, len(first)))


def _successors(edges: Edges) -> np.ndarray:
    """Return the edge that follows each edge on its ring.

    Where two pixels of a region touch only at a corner, two edges leave that corner. A left turn separates the two
    pixels of other regions, so no ring touches itself.
    """
    x0, y0, x1, y1 = edges.ends.astype(np.int64)
    _, region = np.unique(edges.region, return_inverse=True)
    columns, rows = int(x0.max()) + 1, int(y0.max()) + 1

    def key(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray((region * rows + y) * columns + x)

    leaving = np.argsort(key(x0, y0), kind='stable')
    sought, found = key(x1, y1), key(x0, y0)[leaving]
    one = np.searchsorted(found, sought)
    other = np.minimum(one + 1, len(found) - 1)
    dx, dy = np.sign(x1 - x0), np.sign(y1 - y0)
    turns_left = (dx[leaving[other]] == dy) & (dy[leaving[other]] == -dx)
    return leaving[np.where((found[other] == sought) & turns_left, other, one)]


def _follow(successor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges ring by ring, and the number of each one's ring."""
    following, seen = successor.tolist(), bytearray(len(successor))
    order: list[int] = []
    lengths: list[int] = []
    for start in range(len(following)):
        if not seen[start]:
            edge, before = start, len(order)
            while not seen[edge]:
                seen[edge] = 1
                order.append(edge)
                edge = following[edge]
            lengths.append(len(order) - before)
    return np.array(order), np.repeat(np.arange(len(lengths)), lengths)
