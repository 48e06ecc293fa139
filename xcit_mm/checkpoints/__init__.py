"""Read XCiT checkpoints in every published format without running code, and load them without skipping keys."""
from .formats import Translation, translate
from .loading import load
from .reading import get_state_dict, harmless_classes, read, require
from .report import Report

__all__ = ['Report', 'Translation', 'get_state_dict', 'harmless_classes', 'load', 'read', 'require', 'translate']
