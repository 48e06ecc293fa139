"""Checkpoints of XCiT in every published format: read without running code, loaded without skipping anything."""
from .formats import Translation, translate
from .loading import Report, load
from .reading import get_state_dict, harmless_classes, read, require

__all__ = ['Report', 'Translation', 'get_state_dict', 'harmless_classes', 'load', 'read', 'require', 'translate']
