"""Hooks that stop training with a clear error and keep checkpoints safe."""
from .class_names import ClassNamesHook
from .complete_checkpoint import CompleteCheckpointHook
from .invalid_loss import InvalidLossHook
from .label_census import LabelCensusHook
from .label_range import LabelRangeHook
from .results import ResultsHook
from .termination import TerminationHook

__all__ = ['ClassNamesHook', 'CompleteCheckpointHook', 'InvalidLossHook', 'LabelCensusHook', 'LabelRangeHook',
           'ResultsHook', 'TerminationHook']
