"""What our configs add to MMEngine's hooks, so that a training that fails says why and loses nothing."""
from .complete_checkpoint import CompleteCheckpointHook
from .invalid_loss import InvalidLossHook
from .label_range import LabelRangeHook
from .termination import TerminationHook

__all__ = ['CompleteCheckpointHook', 'InvalidLossHook', 'LabelRangeHook', 'TerminationHook']
