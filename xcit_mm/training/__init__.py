"""Runners, hooks and learning-rate decay for training, on top of MMEngine's.

Configs name these types by dotted paths, e.g. ``runner_type = 'xcit_mm.training.StrictRunner'``, and MMEngine imports
them when it builds them.
"""
from .layer_decay import XCiTLayerDecayConstructor
from .runner import StrictRunner

__all__ = ['StrictRunner', 'XCiTLayerDecayConstructor']
