"""XCiT for dense prediction in the MM family. Importing this package registers its modules."""
from .backbone import XCiT
from .config import config_dict, config_path
from .hooks import InvalidLossHook, LabelRangeHook, TerminationHook
from .optim import XCiTLayerDecayConstructor
from .runner import StrictRunner

__version__ = '0.1.0'
__all__ = ['InvalidLossHook', 'LabelRangeHook', 'StrictRunner', 'TerminationHook', 'XCiT', 'XCiTLayerDecayConstructor',
           '__version__', 'config_dict', 'config_path']
