"""Exact inference on whole images in bounded memory."""
from .footprint import estimate_bytes
from .logits import check_mode, compute_bands, is_standard

__all__ = ['check_mode', 'compute_bands', 'estimate_bytes', 'is_standard']
