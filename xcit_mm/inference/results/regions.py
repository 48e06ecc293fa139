"""Trace the outlines of regions in a label map that arrives in bands of rows.

A region is a maximal set of pixels with the same label that are connected through their sides (4-connectivity, as in
GDAL's polygonize). Each band extends the regions that touch its first row. Only the outlines of regions that touch the
last row are kept; all others are complete. An outline consists of edges between pixels, whose region is on the right:
the outer ring runs clockwise as displayed, and the rings of holes run counterclockwise.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

OUTSIDE = -1  # the label beyond the border of the map
PIXELS_AT_ONCE = 1 << 21


class Edges(NamedTuple):
    """Edges of outlines, as columns of equal length.

    Attributes:
        region: number of the region on the right of the edge.
        label: that region's label.
        ends: (4, n) int32: start x, start y, end x and end y, px from the upper left corner of the map.
        is_junction: (2, n) bool: whether more than two regions meet at the start and at the end. Of the edges of a
            region that meet at a point, at least one tells.
    """
    region: np.ndarray
    label: np.ndarray
    ends: np.ndarray
    is_junction: np.ndarray

    def where(self, mask: np.ndarray) -> Edges:
        return Edges(self.region[mask], self.label[mask], self.ends[:, mask], self.is_junction[:, mask])


def join(parts: Iterable[Edges]) -> Edges:
    return Edges(*(np.concatenate(columns, axis=-1) for columns in zip(*parts)))


def complete_outlines(bands: Iterable[tuple[np.ndarray, np.ndarray]], omit: Iterable[int] = ()
                      ) -> Iterator[tuple[Edges, np.ndarray]]:
    """Yield the edges of regions as soon as the regions are complete, each region in one piece.

    Args:
        bands: labels (rows, W), at least 0, and any values (rows, W) to sum over each region; from top to bottom.
        omit: labels of regions that have no outlines.

    Yields:
        Edges of n complete regions, numbered from 0, and the sum of the values over each of these: (n,) float64.
    """
    tracer: Tracer | None = None
    for band, values in _thick(bands):
        step = max(PIXELS_AT_ONCE // band.shape[1], 1)
        for start in range(0, len(band), step):
            rows = band[start:start + step].astype(np.int32)
            tracer = tracer or Tracer(rows.shape[1], list(omit))
            yield tracer.add(rows, values[start:start + step])
    if tracer is not None:  # a row beyond the border completes every region
        outside = np.full((1, len(tracer.row)), OUTSIDE, np.int32)
        yield tracer.add(outside, np.zeros(outside.shape))


def _thick(bands: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Join thin bands, because every call of ``Tracer.add`` copies all open edges."""
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    for band in bands:
        waiting.append(band)
        if sum(labels.size for labels, _ in waiting) >= PIXELS_AT_ONCE // 2:
            labels, values = map(np.concatenate, zip(*waiting))
            yield labels, values
            waiting = []
    yield from waiting


class Tracer:
    """The regions that touch the last row added so far, numbered from 0.

    Args:
        width: of the map, px.
        omit: labels of regions that have no outlines.

    Attributes:
        row, regions: label and region of each pixel in the last row.
        open: edges of these regions.
        sums: of the values over each of them.
    """

    def __init__(self, width: int, omit: list[int]) -> None:
        self.omit, self.height = [OUTSIDE, *omit], 0
        self.row, self.regions = np.full(width, OUTSIDE, np.int32), np.zeros(width, np.int32)
        self.open = Edges(np.empty(0, np.int32), np.empty(0, np.int32), np.empty((4, 0), np.int32),
                          np.empty((2, 0), bool))
        self.sums: np.ndarray = np.zeros(1)

    def add(self, labels: np.ndarray, values: np.ndarray) -> tuple[Edges, np.ndarray]:
        """Add labels and values (rows, W); return edges and sums of the regions that end in or before these rows."""
        # Nodes are regions of the previous row and, numbered after them, runs of equal labels within a row.
        starts = np.ones(labels.shape, bool)
        starts[:, 1:] = labels[:, 1:] != labels[:, :-1]
        known = int(self.regions.max()) + 1
        nodes = (np.cumsum(starts, dtype=np.int32) + (known - 1)).reshape(labels.shape)
        above, labels_above = np.vstack((self.regions, nodes[:-1])), np.vstack((self.row, labels[:-1]))
        starts[:, 1:] |= above[:, 1:] != above[:, :-1]  # now of runs along the border between two rows
        first = np.flatnonzero(starts)
        upper, lower, is_same = (rows.ravel()[first] for rows in (above, nodes, labels_above == labels))
        component = connected(int(nodes[-1, -1]) + 1, upper[is_same], lower[is_same])
        junctions = find_junctions(labels_above, labels)
        edges = join([self.open, *self._horizontal(first, labels_above, labels, above, nodes, junctions),
                      *self._vertical(labels, nodes, junctions)])
        edges = edges._replace(region=component[edges.region])
        sums: np.ndarray = np.bincount(nodes.ravel(), values.ravel(), len(component))
        sums[:known] += self.sums
        sums = np.bincount(component, sums, len(component))
        last = component[nodes[-1]]
        is_open = np.zeros(len(component), bool)
        is_open[last] = True
        is_complete = (component == np.arange(len(component))) & ~is_open  # a component's name is one of its nodes
        self.open, number = _of_components(edges, is_open)
        complete, _ = _of_components(edges, is_complete)
        self.row, self.regions, self.height = labels[-1], number[last], self.height + len(labels)
        self.sums = sums[is_open]
        return complete, sums[is_complete]

    def _horizontal(self, first: np.ndarray, labels_above: np.ndarray, labels: np.ndarray, above: np.ndarray,
                    nodes: np.ndarray, junctions: np.ndarray) -> Iterator[Edges]:
        """Return the edges between rows; ``first`` are the pixels (flat indices) where runs along the border begin."""
        length = np.diff(first, append=labels.size)
        differs = (labels_above != labels).ravel()[first]
        first, length = first[differs], length[differs]
        y, left = np.divmod(first, labels.shape[1])
        right = left + length
        meets = np.stack((junctions[y, left], junctions[y, right]))
        y = y + self.height
        yield self._edges(nodes.ravel()[first], labels.ravel()[first], meets, left, y, right, y)
        yield self._edges(above.ravel()[first], labels_above.ravel()[first], meets[::-1], right, y, left, y)

    def _vertical(self, labels: np.ndarray, nodes: np.ndarray, junctions: np.ndarray) -> Iterator[Edges]:
        """Return the edges between columns, each one pixel long."""
        width = labels.shape[1]
        changes = np.ones((len(labels), width + 1), bool)
        changes[:, 1:-1] = labels[:, 1:] != labels[:, :-1]
        row, x = np.nonzero(changes)
        y, inside = row + self.height, x < width
        # Whether the lower end is a junction depends on the next row, whose edges tell it.
        meets = np.stack((junctions[row, x], np.zeros(len(x), bool)))
        at = row[inside], x[inside]
        yield self._edges(nodes[at], labels[at], meets[::-1, inside], x[inside], y[inside] + 1, x[inside], y[inside])
        inside = x > 0
        at = row[inside], x[inside] - 1
        yield self._edges(nodes[at], labels[at], meets[:, inside], x[inside], y[inside], x[inside], y[inside] + 1)

    def _edges(self, region: np.ndarray, label: np.ndarray, is_junction: np.ndarray, *ends: np.ndarray) -> Edges:
        edges = Edges(region, label, np.stack(ends).astype(np.int32), is_junction)
        return edges.where(~np.isin(label, self.omit))


def _of_components(edges: Edges, chosen: np.ndarray) -> tuple[Edges, np.ndarray]:
    """Return the edges of some components, renumbered from 0, and the new number of each component."""
    number = np.cumsum(chosen, dtype=np.int32) - 1
    edges = edges.where(chosen[edges.region])
    return edges._replace(region=number[edges.region]), number


def find_junctions(labels_above: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return whether more than two regions meet at the upper corners of pixels: (rows, W + 1) bool.

    Args:
        labels_above: labels of the rows above ``labels``, both (rows, W).
        labels: of the pixels.
    """
    upper, lower = (np.pad(rows, ((0, 0), (1, 1)), constant_values=OUTSIDE) for rows in (labels_above, labels))
    borders = (upper[:, 1:] != upper[:, :-1]).astype(np.int8)
    for one, other in ((lower[:, 1:], lower[:, :-1]), (upper[:, 1:], lower[:, 1:]), (upper[:, :-1], lower[:, :-1])):
        borders += one != other
    return borders > 2


def connected(number: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the connected component of each node, named after its smallest node: (number,) int32.

    Args:
        number: of nodes.
        first, second: nodes that are connected in pairs.
    """
    parent = np.arange(number, dtype=np.int32)
    while True:
        one, other = parent[first], parent[second]
        different = one != other
        if not different.any():
            return parent
        one, other = one[different], other[different]
        np.minimum.at(parent, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(parent, shorter := parent[parent]):
            parent = shorter
