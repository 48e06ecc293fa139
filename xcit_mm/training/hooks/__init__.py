"""Hooks that stop training with a clear error, and keep checkpoints safe."""
from .complete_checkpoint import CompleteCheckpointHook
from .invalid_loss import InvalidLossHook
from .label_range import LabelRangeHook
from .termination import TerminationHook

__all__ = ['CompleteCheckpointHook', 'InvalidLossHook', 'LabelRangeHook', 'TerminationHook']
