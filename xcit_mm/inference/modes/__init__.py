"""Inference modes. Importing this package registers them; none of them needs mmseg until it runs."""
from .banded import Banded
from .choose import Auto
from .delegated import Delegated
from .footprint import Budget
from .mode import MODES, Mode, build_mode
from .slide import Slide
from .whole import Whole

__all__ = ['MODES', 'Auto', 'Banded', 'Budget', 'Delegated', 'Mode', 'Slide', 'Whole', 'build_mode']
