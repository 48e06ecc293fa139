"""Checkpoints of XCiT in every published format: read them without running code, load them without skipping keys."""
from .formats import Translation, translate
from .loading import load
from .reading import get_state_dict, harmless_classes, read, require
from .report import Report

__all__ = ['Report', 'Translation', 'get_state_dict', 'harmless_classes', 'load', 'read', 'require', 'translate']
