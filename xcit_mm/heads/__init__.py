"""Drop-in replacements for mmsegmentation's heads, registered on import, and the definition of a standard model."""
from .uper_head import EfficientUPerHead

__all__ = ['EfficientUPerHead']
