"""Runners, hooks and learning-rate decay for training, built on MMEngine.

Configs refer to these types by dotted path, e.g. ``runner_type = 'xcit_mm.training.StrictRunner'``, and MMEngine
imports them when it builds them.
"""
from .layer_decay import XCiTLayerDecayConstructor
from .runner import StrictRunner

__all__ = ['StrictRunner', 'XCiTLayerDecayConstructor']
