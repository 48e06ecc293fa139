"""One interface for the sums that a network computes over all pixels of an image."""
from .image import ImageStatistics
from .statistics import STATISTICS, BlendedMap, Moments, Pools, Statistics, build_statistics

__all__ = ['STATISTICS', 'BlendedMap', 'ImageStatistics', 'Moments', 'Pools', 'Statistics', 'build_statistics']
