"""Adapt a checkpoint's RGB stem to images with a different number of channels."""
from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..ops.precision import at_least_float32

STEM = 'patch_embed.proj.0.0.weight'  # the only weight whose shape depends on the number of image channels
RGB = 3


def adapt_rgb(weight: Tensor, channels: int) -> tuple[Tensor, str]:
    """Adapt the first convolution of an RGB stem to a different number of channels, like timm's ``adapt_input_conv``.

    For one channel, sum the weights, so that a grey image gives the same features as its RGB copy. Otherwise, repeat
    the red, green and blue weights in that order and scale them by 3 / channels, so that an image with identical
    channels gives about the same features.

    Args:
        weight: (out, 3, kh, kw).
        channels: channels of the image.

    Returns:
        The weight (out, channels, kh, kw), in its original dtype, and a description for the report.
    """
    wide = at_least_float32(weight)
    if channels == 1:
        adapted, rule = wide.sum(dim=1, keepdim=True), 'the sum of its weights for red, green and blue'
    else:
        adapted = wide[:, [channel % RGB for channel in range(channels)]] * (RGB / channels)
        rule = f'its weights for red, green and blue, repeated and multiplied by 3 / {channels}'
    noun = 'channel' if channels == 1 else 'channels'
    return adapted.to(weight.dtype), f'adapted the RGB stem to {channels} {noun}: {rule}'


def differing_channels(weights: Mapping[str, Tensor], own: Mapping[str, Tensor], key: str) -> tuple[int, int] | None:
    """Return the channel counts of two stem weights (out, channels, kh, kw); None unless only they differ."""
    if key not in weights or key not in own:
        return None
    given, wanted = weights[key].shape, own[key].shape
    is_same_otherwise = len(given) == 4 and (given[0], *given[2:]) == (wanted[0], *wanted[2:])
    return (given[1], wanted[1]) if is_same_otherwise and given[1] != wanted[1] else None
