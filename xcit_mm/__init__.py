"""XCiT for dense prediction in the MM family. Importing this package registers its modules."""
from .backbone import XCiT
from .config import config_dict, config_path
from .training.fsdp import CorrectedFSDPStrategy, each_xcit_block
from .training.hooks import CompleteCheckpointHook, InvalidLossHook, LabelRangeHook, TerminationHook
from .training.layer_decay import XCiTLayerDecayConstructor
from .training.runner import StrictRunner
from .training.strategy_runner import StrictFlexibleRunner

__version__ = '0.1.0'
__all__ = ['CompleteCheckpointHook', 'CorrectedFSDPStrategy', 'InvalidLossHook', 'LabelRangeHook',
           'StrictFlexibleRunner', 'StrictRunner', 'TerminationHook', 'XCiT', 'XCiTLayerDecayConstructor',
           '__version__', 'config_dict', 'config_path', 'each_xcit_block']
