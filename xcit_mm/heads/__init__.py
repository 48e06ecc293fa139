"""Heads of ours, each a drop-in for the one of mmsegmentation that it is named after. Importing registers them."""
from .uper_head import EfficientUPerHead

__all__ = ['EfficientUPerHead']
