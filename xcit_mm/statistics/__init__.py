"""The sums that a network computes over all pixels of an image, behind one interface."""
from .image import ImageStatistics
from .statistics import STATISTICS, BlendedMap, Moments, Pools, Statistics, build_statistics

__all__ = ['STATISTICS', 'BlendedMap', 'ImageStatistics', 'Moments', 'Pools', 'Statistics', 'build_statistics']
