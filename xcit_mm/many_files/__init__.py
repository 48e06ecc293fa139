"""Process many files: resume, share them among processes, show progress, and report failures once."""
from .for_each import Outcome, for_each_image
from .manifest import Manifest, settings_of
from .parts import part_of
from .ranks import Ranks, join_ranks

__all__ = ['Manifest', 'Outcome', 'Ranks', 'for_each_image', 'join_ranks', 'part_of', 'settings_of']
