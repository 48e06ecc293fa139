"""Scores by which statistics are compared."""
import numpy as np
import pytest
from benchmarks.scores import Scores


@pytest.fixture
def truth():
    mask = np.zeros((40, 60), int)
    mask[5:15, 5:15] = mask[22:32, 40:50] = 1
    return mask


def scores_of(labels, truth):
    scores = Scores(2, (20, 30))
    scores.add(labels, truth)
    return scores.result()


def test_perfect_labels(truth):
    assert scores_of(truth, truth) == dict(mean_iou=100, boundary_iou=100, object_f1=100, border_error=0)


def test_a_missed_object(truth):
    labels = truth.copy()
    labels[5:15, 5:15] = 0
    found = scores_of(labels, truth)
    assert found['object_f1'] == pytest.approx(200 / 3)  # one of two found, none false
    assert found['mean_iou'] == pytest.approx(50 * (100 / 200 + 2200 / 2300))
    assert found['border_error'] == pytest.approx(100 * 3 * 10 / (16 * 60 + 16 * 40 - 16 * 16))  # rows 12 to 14


def test_merged_objects_match_nothing(truth):
    labels = truth.copy()
    labels[5:32, 14:16] = labels[30:32, 14:42] = 1
    assert scores_of(labels, truth)['object_f1'] == 0


def test_contours_are_stricter_than_areas(truth):
    labels = np.roll(truth, 2, axis=1)
    found = scores_of(labels, truth)
    assert found['boundary_iou'] < found['mean_iou'] - 5


def test_ignored_pixels_do_not_count(truth):
    ignored = truth.copy()
    ignored[:, 56:] = 255
    assert scores_of(truth, ignored) == dict(mean_iou=100, boundary_iou=100, object_f1=100, border_error=0)
