"""Loading weights into a model: every key finds its place, or the load is refused."""
from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmengine.logging import print_log
from torch import Tensor, nn

from ..errors import InputError
from .formats import PYRAMID, Translation, translate
from .reading import get_state_dict, read, with_metadata

if TYPE_CHECKING:
    from ..backbone import XCiT


@dataclass(frozen=True)
class Report:
    """What became of the keys of a checkpoint, and of the keys of the module.

    Attributes:
        source: path, URL, or 'the checkpoint'.
        format: of the checkpoint: whose names, and of what.
        arch: which XCiT it holds, e.g. ``'small_12_p16'``; '' if none.
        matched: keys that were loaded.
        wanted: keys that the module has.
        fresh: keys of the module that the format does not have: the pyramid, which starts from scratch.
        dropped: keys of the checkpoint without use in dense prediction, by reason.
        missing: keys of the module that the checkpoint lacks.
        unexpected: keys of the checkpoint that the module lacks.
        conflicts: keys with another shape, each with both shapes.
    """
    source: str
    format: str
    arch: str
    matched: int
    wanted: int
    fresh: list[str]
    dropped: dict[str, list[str]]
    missing: list[str]
    unexpected: list[str]
    conflicts: list[str]

    @property
    def problems(self) -> list[str]:
        """Why the checkpoint does not fit; empty where it does."""
        return [f'{len(keys)} {kind}, e.g. {keys[0]}' for kind, keys in (
            ('missing', self.missing), ('unexpected', self.unexpected), ('of another shape', self.conflicts)) if keys]

    def __str__(self) -> str:
        parts = [f'{self.source}: {self.format}{f" of {self.arch}" if self.arch else ""}',
                 f'loaded {self.matched} of {self.wanted} keys']
        if self.fresh:
            parts.append(f'not in it, so from scratch: {", ".join(_modules(self.fresh))}')
        parts += [f'dropped {len(keys)} keys ({reason})' for reason, keys in self.dropped.items()]
        return '; '.join(parts + self.problems)


def load(module: nn.Module, source: str | Path | Mapping, strict: bool = True, name: str | None = None) -> Report:
    """Load weights of any published format into a module; what became of every key is logged.

    Args:
        module: an XCiT, a segmentor or detector around one, or any other module, whose checkpoints are
            taken under their own names.
        source: path, URL, or what a file holds: see ``read``.
        strict: refuse what does not fit. Otherwise load what does, and report the rest as a warning.
        name: how errors and the log call the source. Default: its path.

    Raises:
        InputError: as ``read``; the weights are no XCiT's; with ``strict``, keys are missing or
            unexpected, or shapes differ. The module is unchanged then.
    """
    name = name or ('the checkpoint' if isinstance(source, Mapping) else str(source))
    content, own = source if isinstance(source, Mapping) else read(source), module.state_dict()
    prefix, backbone = _find_xcit(module)
    translation: Translation | None = None
    dropped: dict[str, list[str]] = {}
    try:
        state_dict = given = get_state_dict(content)
        if backbone is not None:
            translation = translate(state_dict)
            given, dropped = _place(translation, prefix, backbone, own)
    except InputError as error:
        raise InputError(f'{name} does not fit {type(module).__name__}: {error}') from None
    starts_fresh = translation and not prefix and not translation.has_pyramid
    fitting = {key: value for key, value in given.items() if key in own and value.shape == own[key].shape}
    absent = [key for key in own if key not in given]
    fresh = [key for key in absent if starts_fresh and re.match(PYRAMID, key)]
    report = Report(
        name, translation.format if translation else 'weights',
        str(translation.variant or 'unknown sizes') if translation else '',
        matched=len(fitting), wanted=len(own), fresh=fresh, dropped=dropped,
        missing=[key for key in absent if key not in fresh],
        unexpected=[key for key in given if key not in own],
        conflicts=[f'{key} is {tuple(value.shape)} but must be {tuple(own[key].shape)}'
                   for key, value in given.items() if key in own and key not in fitting])
    if report.problems and strict:
        reason = _mismatch(translation, prefix, backbone, report) or '; '.join(report.problems)
        raise InputError(f'{name} does not fit {type(module).__name__}: {reason} '
                         f'({len(own)} keys wanted, {len(state_dict)} given)')
    module.load_state_dict(with_metadata(own | fitting, state_dict))
    print_log(str(report), 'current', logging.WARNING if report.problems else logging.INFO)
    return report


def _find_xcit(module: nn.Module) -> tuple[str, XCiT | None]:
    """The XCiT in a module and what stands before its keys."""
    from ..backbone import XCiT  # which imports this module
    for name, child in module.named_modules():
        if isinstance(child, XCiT):
            return f'{name}.' if name else '', child
    return '', None


def _place(translation: Translation, prefix: str, backbone: XCiT, own: Mapping[str, Tensor]
           ) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """The weights under the keys of the module, and what has no place in it, by reason."""
    dropped = {'class attention and classifier': list(translation.dropped)} if translation.dropped else {}
    given = {}
    for key, value in translation.backbone.items():
        reason = next((reason for pattern, reason in backbone.unbuilt_keys().items() if re.match(pattern, key)), None)
        if reason:
            dropped.setdefault(reason, []).append(key)
        else:
            given[prefix + key] = value
    for key, value in translation.others.items():
        if not prefix:
            dropped.setdefault('parts beside the backbone', []).append(key)
        elif key.startswith('head.') and key not in own:  # as mmpretrain and DINO name it
            dropped.setdefault('classifier or projection head', []).append(key)
        else:
            given[key] = value
    return given, dropped


def _mismatch(translation: Translation | None, prefix: str, backbone: XCiT | None, report: Report) -> str:
    """In words, why weights of an XCiT do not fit; '' where only the keys tell."""
    if translation is None or backbone is None:
        return ''
    if translation.variant and translation.variant != backbone.variant:
        theirs, ours = translation.variant, backbone.variant
        stem = ('' if theirs.patch_size == ours.patch_size else
                f' (a stem for patches of {theirs.patch_size} px, not {ours.patch_size} px)')
        return f'it holds {theirs}, but the model has {ours}{stem}'
    way_out = "name it in model.backbone.init_cfg=dict(type='Pretrained', checkpoint=...)"
    outside = [key for key in (*report.missing, *report.unexpected, *report.conflicts) if not key.startswith(prefix)]
    if prefix and not translation.others:
        return f'it holds a backbone without heads; to start from it, {way_out}'
    if prefix and len(outside) == len(report.missing + report.unexpected + report.conflicts):
        return (f'{"; ".join(report.problems)}: its heads or classes are others; to start from its backbone, '
                f'{way_out}; to take whatever fits, set load_from_strict = False')
    return ''


def _modules(keys: list[str]) -> list[str]:
    return sorted({key.split('.')[0] for key in keys})
