"""Find where translated weights belong in a module, or explain why they do not fit."""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from ..errors import InputError
from ..variants import Variant
from .formats import PYRAMID, Format, Translation, find_formats, translate_part
from .prefixes import align
from .report import Report
from .state_dict import plain_key
from .stem import RGB, STEM, adapt_rgb, differing_channels


@runtime_checkable
class PublishedBackbone(Protocol):
    """A module with the same parameter names as the authors' dense backbone.

    Attributes:
        variant: its sizes.
    """
    variant: Variant

    def unbuilt_keys(self) -> dict[str, str]:
        """Return patterns for the published keys that the module does not build, mapped to the reasons."""


@dataclass(frozen=True)
class Part:
    """An XCiT in a module and the weights for it.

    Attributes:
        prefix: prefix of its keys in the module, e.g. ``'backbone.'``; '' if the module is the backbone.
        backbone: the XCiT.
        translation: its translated weights.
        stem_channels: channel counts of the checkpoint's and the module's stem, if they differ and were not adapted.
    """
    prefix: str
    backbone: PublishedBackbone
    translation: Translation
    stem_channels: tuple[int, int] | None = None


@dataclass(frozen=True)
class Placement:
    """A checkpoint's weights under a module's keys.

    Attributes:
        weights: weights to load; their keys and shapes may still differ from the module's.
        dropped: keys of the checkpoint that the module does not need, by reason.
        prefixes: describes the prefix that was removed from or added to all keys; '' for none.
        parts: the XCiTs in the module that the checkpoint has weights for.
        adapted: describes how a stem was adapted to the images' channels; '' if none was.
    """
    weights: dict[str, Tensor]
    dropped: dict[str, list[str]]
    prefixes: str = ''
    parts: tuple[Part, ...] = ()
    adapted: str = ''

    def with_weights(self, weights: dict[str, Tensor]) -> Placement:
        """Return the same placement with other weights."""
        return replace(self, weights=weights)

    def compare(self, source: str, own: Mapping[str, Tensor]) -> Report:
        """Compare the weights with the module's state dict ``own``."""
        first = self.parts[0] if self.parts else None
        misfits = {key: _misfit(value, own[key]) for key, value in self.weights.items() if key in own}
        absent = [key for key in own if key not in self.weights]
        levels = first.translation.levels if first and not first.prefix else None
        fresh = [key for key in absent if levels is not None and (level := re.match(PYRAMID, key))
                 and level[0] not in levels]
        return Report(
            source, first.translation.format if first else 'weights', first.translation.arch if first else '',
            loaded=[key for key, misfit in misfits.items() if not misfit], wanted=len(own), fresh=fresh,
            dropped=self.dropped,
            missing=[key for key in absent if key not in fresh],
            unexpected=[key for key in self.weights if key not in own],
            conflicts=[f'{key} is {misfit}' for key, misfit in misfits.items() if misfit],
            prefixes=self.prefixes, adapted=self.adapted)

    def explain(self, report: Report) -> str:
        """Explain why the weights do not fit; if there is no single cause, give the key counts."""
        counts = '; '.join(report.problems)
        for part in self.parts:
            theirs, ours = part.translation.variant, part.backbone.variant
            if theirs and theirs != ours:
                stem = ('' if theirs.patch_size == ours.patch_size else
                        f' (a stem for patches of {theirs.patch_size} px, not {ours.patch_size} px)')
                return f'it holds {theirs}, but the model has {ours}{stem}'
            if part.stem_channels:
                given, wanted = part.stem_channels
                return (f'its stem is for images with {given} channels, not {wanted}; set '
                        f'model.backbone.in_channels={given}')
        if not self.parts or not self.parts[0].prefix:
            return counts
        remedy = "set model.backbone.init_cfg=dict(type='Pretrained', checkpoint=...)"
        if len(self.parts) == 1 and not self.parts[0].translation.others:
            return f'it holds a backbone without heads; to start from it, {remedy}'
        misfits = [*report.missing, *report.unexpected, *report.conflicts]
        if not any(key.startswith(part.prefix) for key in misfits for part in self.parts):
            return (f'{counts}: its heads or classes differ; to start from its backbone alone, {remedy}; '
                    'to load everything that fits, set load_from_strict = False')
        return counts


def _misfit(value: Tensor, own: Tensor) -> str:
    """Describe why a weight cannot be copied into the module's own weight; return '' if it can."""
    if value.shape != own.shape:
        return f'{tuple(value.shape)} but must be {tuple(own.shape)}'
    # Converting quantised, sparse or complex weights would lose their scale, indices or imaginary part. 8-bit floats
    # have a scale, too.
    is_plain_float = value.is_floating_point() and value.element_size() > 1
    is_other_kind = own.is_floating_point() and not is_plain_float or value.is_complex() != own.is_complex()
    if is_other_kind or value.layout != own.layout:
        return f'{value.dtype} but must be {own.dtype}'
    return ''


def place(module: nn.Module, state_dict: Mapping[str, Tensor], own: Mapping[str, Tensor],
          adapt_stem: bool = True) -> Placement:
    """Find where each weight of a checkpoint belongs in a module.

    Args:
        module: an XCiT, a model that contains one or more, or any other module, for which no key is translated.
        state_dict: weights in any published format, from ``get_state_dict``.
        own: state dict of the module, with plain keys.
        adapt_stem: adapt an RGB stem to the channels of the module's stem; see ``adapt_rgb``.

    Raises:
        InputError: the module has an XCiT, but the checkpoint has none; or one of them has several, and their prefixes
            do not match.
    """
    ours = find_backbones(module)
    weights, removed, added = align(state_dict, own, ours, find_formats(state_dict) if ours else ())
    prefixes = '; '.join(f'{action} {prefix!r} at the beginning of its keys'
                         for action, prefix in (('removed', removed), ('added', added)) if prefix)
    if not ours:
        return Placement(weights, {}, prefixes)
    dropped: dict[str, list[str]] = {}
    parts: list[Part] = []
    fitting: dict[str, Tensor] = {}
    adapted = ''
    for prefix, theirs, source in _pair(ours, find_formats(weights)):
        translation = translate_part(weights, source, theirs)
        if translation.dropped:
            dropped.setdefault('class attention and classifier', []).extend(translation.dropped)
        unbuilt = ours[prefix].unbuilt_keys()
        for key, value in translation.backbone.items():
            reason = next((reason for pattern, reason in unbuilt.items() if re.match(pattern, key)), None)
            if reason:
                dropped.setdefault(reason, []).append(key)
            else:
                fitting[prefix + key] = value
        channels = differing_channels(fitting, own, prefix + STEM)
        if channels and channels[0] == RGB and adapt_stem:
            fitting[prefix + STEM], adapted = adapt_rgb(fitting[prefix + STEM], channels[1])
            channels = None
        parts.append(Part(prefix, ours[prefix], translation, channels))
        weights = translation.others
    for key, value in weights.items():
        if '' in ours:
            dropped.setdefault('parts outside the backbone', []).append(key)
        elif key.startswith('head.') and key not in own:  # as mmpretrain and DINO name it
            dropped.setdefault('classifier or projection head', []).append(key)
        else:
            fitting[key] = value
    return Placement(fitting, dropped, prefixes, tuple(parts), adapted)


def _pair(ours: Mapping[str, PublishedBackbone], theirs: Mapping[str, Format]) -> list[tuple[str, str, Format]]:
    """Pair XCiTs with the same prefix in the module and the checkpoint, or the only one in each.

    Returns:
        For each pair, the prefix in the module, the prefix in the checkpoint and the checkpoint's format.
    """
    same = [(prefix, prefix, theirs[prefix]) for prefix in ours if prefix in theirs]
    if same:
        return same
    if len(ours) == len(theirs) == 1:
        (prefix, ), ((other, source), ) = ours, theirs.items()
        return [(prefix, other, source)]
    if len(theirs) > 1:
        raise InputError(f'it holds {len(theirs)} XCiTs ({", ".join(theirs)}); save the weights of one of them')
    raise InputError(f'it holds one XCiT, but the model has {len(ours)} ({", ".join(ours)}); set the init_cfg of each')


def find_backbones(module: nn.Module) -> dict[str, PublishedBackbone]:
    """Return the XCiTs in a module by key prefix, with torch's wrappers removed from the prefixes."""
    # Wrappers like the one from torch.compile forward attribute access, but their classes lack the method.
    return {plain_key(f'{name}.') if name else '': child for name, child in module.named_modules()
            if hasattr(type(child), 'unbuilt_keys') and isinstance(child, PublishedBackbone)
            and isinstance(child.variant, Variant)}
