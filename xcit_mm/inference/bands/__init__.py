"""Networks in bands of rows. Importing this package registers the necks and heads that can run so."""
from . import fpn, uper_head  # noqa: F401
from .registry import BandedModule, banded, run_in_bands, whole_maps

__all__ = ['BandedModule', 'banded', 'run_in_bands', 'whole_maps']
