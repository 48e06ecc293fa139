"""Scores of label maps of whole scenes, for comparing statistics."""
from __future__ import annotations

import cv2
import numpy as np
import torch
from mmseg.evaluation import IoUMetric

IGNORED = 255  # label of pixels that do not count
CONTOUR = 2  # px; width of the inner contour that boundary IoU compares
BORDER = 8  # px on either side of the line between two tiles


class Scores:
    """Sums over scenes, from which the scores follow.

    Args:
        classes: number of classes; class 0 is the background.
        crop: height and width of the tiles that the scenes are composed of, px.
    """

    def __init__(self, classes: int, crop: tuple[int, int]) -> None:
        self.classes, self.crop = classes, crop
        self.areas = torch.zeros(2, classes, dtype=torch.double)  # intersection and union, px
        self.contours = torch.zeros(2, classes + 1, dtype=torch.double)  # the last one counts all other pixels
        self.matches = np.zeros(3, int)  # objects: matched, predicted, true
        self.at_borders = np.zeros(2, int)  # px: wrong, all

    def add(self, labels: np.ndarray, truth: np.ndarray) -> None:
        """Add one scene: (H, W) class indices; pixels that are ``IGNORED`` in the truth do not count."""
        known = truth != IGNORED
        self.areas += _intersection_and_union(labels, truth, self.classes)
        # Ignored pixels take the predicted labels, so that their edges are no contours.
        contours = np.where(known, _contours(np.where(known, truth, labels), self.classes), IGNORED)
        self.contours += _intersection_and_union(_contours(labels, self.classes), contours, self.classes + 1)
        self.matches += _count_matches(labels * known > 0, truth * known > 0)
        border = _near_borders(truth.shape, self.crop) & known
        self.at_borders += (labels != truth)[border].sum(), border.sum()

    def result(self) -> dict[str, float]:
        """Return the scores in percent.

        - ``mean_iou``, over the classes that are present.
        - ``boundary_iou``: the same, of contours of ``CONTOUR`` px inside each region (arXiv 2103.16562).
        - ``object_f1``: F1 score of connected foreground regions; two regions match if their IoU exceeds 0.5.
        - ``border_error``: wrong pixels within ``BORDER`` px of the line between two tiles.
        """
        matched, predicted, true = self.matches
        return dict(
            mean_iou=100 * (self.areas[0] / self.areas[1]).nanmean().item(),
            boundary_iou=100 * (self.contours[0] / self.contours[1])[:self.classes].nanmean().item(),
            object_f1=float(200 * matched / max(predicted + true, 1)),
            border_error=float(100 * self.at_borders[0] / max(self.at_borders[1], 1)))


def _intersection_and_union(labels: np.ndarray, truth: np.ndarray, classes: int) -> torch.Tensor:
    return torch.stack(IoUMetric.intersect_and_union(
        torch.from_numpy(labels), torch.from_numpy(truth), classes, IGNORED)[:2])


def _contours(labels: np.ndarray, classes: int) -> np.ndarray:
    """Keep the labels of pixels near the edge of their region, and set the others to ``classes``."""
    contours = np.full_like(labels, classes)
    for index in range(classes):
        region = (labels == index).astype(np.uint8)
        inner = cv2.erode(region, np.ones((3, 3), np.uint8), iterations=CONTOUR)
        contours[(region > 0) & (inner == 0)] = index
    return contours


def _count_matches(labels: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    predicted, own = cv2.connectedComponents(labels.astype(np.uint8))
    true, reference = cv2.connectedComponents(truth.astype(np.uint8))
    overlap = np.bincount((own * true + reference).ravel(), minlength=predicted * true).reshape(predicted, true)
    union = overlap.sum(axis=1, keepdims=True) + overlap.sum(axis=0) - overlap
    # More than half of the union can overlap with only one other region.
    matched = 2 * overlap[1:, 1:] > union[1:, 1:]
    return int(matched.sum()), predicted - 1, true - 1


def _near_borders(size: tuple[int, ...], crop: tuple[int, int]) -> np.ndarray:
    """Return which pixels are near the line between two tiles: (H, W) bool."""
    near = []
    for side, step in zip(size, crop):
        distance = np.abs(np.arange(side)[:, None] + 0.5 - np.arange(step, side, step)).min(axis=1, initial=side)
        near.append(distance < BORDER)
    return near[0][:, None] | near[1]
