"""Find where translated weights belong in a module, or explain why they do not fit."""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from ..variants import Variant
from .formats import PYRAMID, Translation, translate
from .report import Report


@runtime_checkable
class PublishedBackbone(Protocol):
    """A module whose parameters have the names of the authors' dense backbone.

    Attributes:
        variant: its sizes.
    """
    variant: Variant

    def unbuilt_keys(self) -> dict[str, str]:
        """Return the reason for each group of published keys that the module does not build, keyed by its pattern."""


@dataclass(frozen=True)
class Placement:
    """Weights of a checkpoint under the keys of a module.

    Attributes:
        weights: weights to load; their keys and shapes may still differ from the module's.
        dropped: keys of the checkpoint that the module does not need, by reason.
        prefix: prefix of the backbone's keys in the module, e.g. ``'backbone.'``; '' if the module is the backbone.
        backbone: the XCiT in the module; None if it has none.
        translation: the translated checkpoint; None if the module has no XCiT.
    """
    weights: dict[str, Tensor]
    dropped: dict[str, list[str]]
    prefix: str = ''
    backbone: PublishedBackbone | None = None
    translation: Translation | None = None

    def compare(self, source: str, own: Mapping[str, Tensor]) -> Report:
        """Compare the weights with the module's state dict ``own``."""
        translation = self.translation
        fits = {key: value.shape == own[key].shape for key, value in self.weights.items() if key in own}
        absent = [key for key in own if key not in self.weights]
        lacks_pyramid = translation is not None and not self.prefix and not translation.has_pyramid
        fresh = [key for key in absent if lacks_pyramid and re.match(PYRAMID, key)]
        return Report(
            source, translation.format if translation else 'weights', translation.arch if translation else '',
            matched=sum(fits.values()), wanted=len(own), fresh=fresh, dropped=self.dropped,
            missing=[key for key in absent if key not in fresh],
            unexpected=[key for key in self.weights if key not in own],
            conflicts=[f'{key} is {tuple(self.weights[key].shape)} but must be {tuple(own[key].shape)}'
                       for key, same in fits.items() if not same])

    def explain(self, report: Report) -> str:
        """Explain why the weights do not fit; if there is no single cause, list the key counts."""
        counts = '; '.join(report.problems)
        if self.translation is None or self.backbone is None:
            return counts
        theirs, ours = self.translation.variant, self.backbone.variant
        if theirs and theirs != ours:
            stem = ('' if theirs.patch_size == ours.patch_size else
                    f' (a stem for patches of {theirs.patch_size} px, not {ours.patch_size} px)')
            return f'it holds {theirs}, but the model has {ours}{stem}'
        remedy = "set model.backbone.init_cfg=dict(type='Pretrained', checkpoint=...)"
        if self.prefix and not self.translation.others:
            return f'it holds a backbone without heads; to start from it, {remedy}'
        misfits = [*report.missing, *report.unexpected, *report.conflicts]
        if self.prefix and not any(key.startswith(self.prefix) for key in misfits):
            return (f'{counts}: its heads or classes differ; to start from its backbone alone, {remedy}; '
                    'to load everything that fits, set load_from_strict = False')
        return counts


def place(module: nn.Module, state_dict: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Placement:
    """Find where each weight of a checkpoint belongs in a module.

    Args:
        module: an XCiT, a model built on one, or any other module; weights for the last keep their keys.
        state_dict: weights in any published format.
        own: state dict of the module.

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
    for key, value in translation.others.items():
        if not prefix:
            dropped.setdefault('parts outside the backbone', []).append(key)
        elif key.startswith('head.') and key not in own:  # the name that mmpretrain and DINO give it
            dropped.setdefault('classifier or projection head', []).append(key)
        else:
            weights[key] = value
    return Placement(weights, dropped, prefix, backbone, translation)


def find_backbone(module: nn.Module) -> tuple[str, PublishedBackbone | None]:
    """Find the first XCiT in a module, and return the prefix of its keys and the XCiT itself."""
    for name, child in module.named_modules():
        # Wrappers such as torch.compile's forward attributes, but their classes lack the method.
        if (hasattr(type(child), 'unbuilt_keys') and isinstance(child, PublishedBackbone)
                and isinstance(child.variant, Variant)):
            return f'{name}.' if name else '', child
    return '', None
