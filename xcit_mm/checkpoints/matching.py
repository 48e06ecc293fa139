"""Place translated weights on a module, and explain why they do not fit."""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ..variants import Variant
from .formats import PYRAMID, Translation, translate
from .report import Report

STEM = 'patch_embed.proj.0.0.weight'  # the only weight whose shape depends on the channels of the image
RGB = 3


@runtime_checkable
class PublishedBackbone(Protocol):
    """A module whose parameters have the names of the authors' dense backbone.

    Attributes:
        variant: its sizes.
    """
    variant: Variant

    def unbuilt_keys(self) -> dict[str, str]:
        """Return a pattern for each group of published keys that the module does not build, mapped to the reason."""


@dataclass(frozen=True)
class Placement:
    """Weights of a checkpoint under the keys of a module.

    Attributes:
        weights: weights to load; their keys and shapes may still differ from the module's.
        dropped: keys of the checkpoint that the module does not need, by reason.
        prefix: prefix of the backbone's keys in the module, e.g. ``'backbone.'``; '' if the module is the backbone.
        backbone: the XCiT in the module; None if it has none.
        translation: the translated checkpoint; None if the module has no XCiT.
        adapted: how the stem was adapted, for the report; '' if it was not.
        stem_channels: channels of the checkpoint's stem and of the module's, if they differ and were not adapted.
    """
    weights: dict[str, Tensor]
    dropped: dict[str, list[str]]
    prefix: str = ''
    backbone: PublishedBackbone | None = None
    translation: Translation | None = None
    adapted: str = ''
    stem_channels: tuple[int, int] | None = None

    def compare(self, source: str, own: Mapping[str, Tensor]) -> Report:
        """Compare the weights with the module's state dict ``own``."""
        translation = self.translation
        fits = {key: value.shape == own[key].shape for key, value in self.weights.items() if key in own}
        absent = [key for key in own if key not in self.weights]
        fresh = []
        if translation is not None and not self.prefix:
            fresh = [key for key in absent if (level := re.match(PYRAMID, key)) and level[0] not in translation.levels]
        return Report(
            source, translation.format if translation else 'weights', translation.arch if translation else '',
            matched=sum(fits.values()), wanted=len(own), fresh=fresh, dropped=self.dropped,
            missing=[key for key in absent if key not in fresh],
            unexpected=[key for key in self.weights if key not in own],
            conflicts=[f'{key} is {tuple(self.weights[key].shape)} but must be {tuple(own[key].shape)}'
                       for key, same in fits.items() if not same], adapted=self.adapted)

    def explain(self, report: Report) -> str:
        """Explain why the weights do not fit; list the numbers of keys if no single cause explains them."""
        counts = '; '.join(report.problems)
        if self.translation is None or self.backbone is None:
            return counts
        theirs, ours = self.translation.variant, self.backbone.variant
        if theirs and theirs != ours:
            stem = ('' if theirs.patch_size == ours.patch_size else
                    f' (a stem for patches of {theirs.patch_size} px, not {ours.patch_size} px)')
            return f'it holds {theirs}, but the model has {ours}{stem}'
        if self.stem_channels:
            given, wanted = self.stem_channels
            return (f'its stem takes images of {given} channels, not {wanted}; set '
                    f'model.backbone.in_channels={given}')
        remedy = "set model.backbone.init_cfg=dict(type='Pretrained', checkpoint=...)"
        if self.prefix and not self.translation.others:
            return f'it holds a backbone without heads; to start from it, {remedy}'
        misfits = [*report.missing, *report.unexpected, *report.conflicts]
        if self.prefix and not any(key.startswith(self.prefix) for key in misfits):
            return (f'{counts}: its heads or classes differ; to start from its backbone alone, {remedy}; '
                    'to load everything that fits, set load_from_strict = False')
        return counts


def place(module: nn.Module, state_dict: Mapping[str, Tensor], own: Mapping[str, Tensor],
          adapt_stem: bool = True) -> Placement:
    """Find the place of each weight of a checkpoint in a module.

    Args:
        module: an XCiT, a model around one, or any other module, whose weights keep their keys.
        state_dict: weights in any published format.
        own: state dict of the module.
        adapt_stem: adapt an RGB stem to the channels of the module's: see ``adapt_rgb``.

    Raises:
        InputError: the module has an XCiT, but the checkpoint has none.
    """
    prefix, backbone = find_backbone(module)
    if backbone is None:
        return Placement(dict(state_dict), {})
    translation = translate(state_dict)
    unbuilt = backbone.unbuilt_keys()
    dropped = {'class attention and classifier': list(translation.dropped)} if translation.dropped else {}
    weights = {}
    for key, value in translation.backbone.items():
        reason = next((reason for pattern, reason in unbuilt.items() if re.match(pattern, key)), None)
        if reason:
            dropped.setdefault(reason, []).append(key)
        else:
            weights[prefix + key] = value
    channels, adapted = _differing_channels(weights.get(prefix + STEM), own.get(prefix + STEM)), ''
    if channels and channels[0] == RGB and adapt_stem:
        weights[prefix + STEM], adapted = adapt_rgb(weights[prefix + STEM], channels[1])
        channels = None
    for key, value in translation.others.items():
        if not prefix:
            dropped.setdefault('parts outside the backbone', []).append(key)
        elif key.startswith('head.') and key not in own:  # the name that mmpretrain and DINO give it
            dropped.setdefault('classifier or projection head', []).append(key)
        else:
            weights[key] = value
    return Placement(weights, dropped, prefix, backbone, translation, adapted, channels)


def adapt_rgb(weight: Tensor, channels: int) -> tuple[Tensor, str]:
    """Adapt the first convolution of an RGB stem to another number of channels, as timm's ``adapt_input_conv`` does.

    For one channel, the weights are summed: a grey image gives what it gives as RGB. Otherwise, the weights of red,
    green and blue repeat cyclically, times 3 / channels: an image of equal channels gives about what it gives as RGB.

    Args:
        weight: (out, 3, kh, kw).
        channels: channels of the image.

    Returns:
        The weight (out, channels, kh, kw), in its dtype, and a description.
    """
    wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
    if channels == 1:
        adapted, rule = wide.sum(dim=1, keepdim=True), 'the sum of its weights of red, green and blue'
    else:
        adapted = wide[:, [channel % RGB for channel in range(channels)]] * (RGB / channels)
        rule = f'its weights of red, green and blue repeat, times 3 / {channels}'
    noun = 'channel' if channels == 1 else 'channels'
    return adapted.to(weight.dtype), f'adapted the RGB stem to {channels} {noun}: {rule}'


def _differing_channels(weight: Tensor | None, own: Tensor | None) -> tuple[int, int] | None:
    """Return the channels of two stems (out, channels, kh, kw) if they differ in nothing else."""
    if weight is None or own is None or weight.dim() != 4 or weight.shape[1] == own.shape[1]:
        return None
    is_same_otherwise = (weight.shape[0], *weight.shape[2:]) == (own.shape[0], *own.shape[2:])
    return (weight.shape[1], own.shape[1]) if is_same_otherwise else None


def find_backbone(module: nn.Module) -> tuple[str, PublishedBackbone | None]:
    """Find the first XCiT in a module, and return the prefix of its keys and the XCiT itself."""
    for name, child in module.named_modules():
        # Wrappers such as torch.compile's forward attributes, but their classes lack the method.
        if (hasattr(type(child), 'unbuilt_keys') and isinstance(child, PublishedBackbone)
                and isinstance(child.variant, Variant)):
            return f'{name}.' if name else '', child
    return '', None
