"""The parts of XCiT, one per file."""
from .block import XCiTBlock
from .cross_covariance_attention import CrossCovarianceAttention
from .feature_pyramid import PYRAMID_STRIDES, build_resampler
from .local_patch_interaction import LocalPatchInteraction
from .patch_embedding import PatchEmbedding
from .positional_encoding import PositionalEncoding

__all__ = [
    'CrossCovarianceAttention', 'LocalPatchInteraction', 'PYRAMID_STRIDES', 'PatchEmbedding',
    'PositionalEncoding', 'XCiTBlock', 'build_resampler'
]
