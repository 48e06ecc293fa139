"""Exact inference on whole images in bounded memory."""
from .segmentor import compute_bands, segment_by_bands

__all__ = ['compute_bands', 'segment_by_bands']
