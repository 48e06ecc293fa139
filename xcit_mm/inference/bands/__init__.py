"""Run networks in bands of rows. Importing this package registers the necks and heads that can run this way."""
from . import fpn, uper_head  # noqa: F401
from .backbone_check import check_backbone
from .registry import BandedModule, banded, run_in_bands, whole_maps

__all__ = ['BandedModule', 'banded', 'check_backbone', 'run_in_bands', 'whole_maps']
