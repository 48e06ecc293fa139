"""One interface for the sums that a network computes over all pixels of an image."""
from .adaptive import LARGE_SPREAD, Adaptive
from .frozen import Frozen, Recorder
from .grid import TokenGrid
from .image import ImageStatistics
from .local import Local
from .mixture import Mixture
from .statistics import (
    STATISTICS,
    BlendedMap,
    Choice,
    Moments,
    Pools,
    Statistics,
    build_statistics,
    for_forward,
)

__all__ = ['LARGE_SPREAD', 'STATISTICS', 'Adaptive', 'BlendedMap', 'Choice', 'Frozen', 'ImageStatistics', 'Local',
           'Mixture', 'Moments', 'Pools', 'Recorder', 'Statistics', 'TokenGrid', 'build_statistics', 'for_forward']
