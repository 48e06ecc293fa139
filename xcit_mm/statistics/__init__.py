"""What a network sees of an image as a whole: sums over its pixels, behind one interface."""
from .image import ImageStatistics
from .statistics import STATISTICS, BlendedMap, Moments, Pools, Statistics, build_statistics

__all__ = ['STATISTICS', 'BlendedMap', 'ImageStatistics', 'Moments', 'Pools', 'Statistics', 'build_statistics']
