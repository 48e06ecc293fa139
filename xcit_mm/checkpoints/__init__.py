"""Read XCiT checkpoints in any published format without running code from them, and load them without skipping keys."""
from .formats import Translation, translate
from .loading import apply, load, prepare
from .locating import locate, require
from .pickles import harmless_classes
from .reading import read
from .report import Report
from .state_dict import get_dataset_meta, get_state_dict, plain_key, with_metadata

__all__ = ['Report', 'Translation', 'apply', 'get_dataset_meta', 'get_state_dict', 'harmless_classes', 'load', 'locate',
           'plain_key', 'prepare', 'read', 'require', 'translate', 'with_metadata']
