"""Translate XCiT weights in any published format to this package's names.

We use the same names as the authors' dense backbone, so their code can also load a translated checkpoint.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ..errors import InputError
from ..variants import Variant

Rename = tuple[str, str | Callable[[re.Match], str]]  # pattern and replacement for re.sub


@dataclass(frozen=True)
class Format:
    """The weight names that a project uses.

    Attributes:
        name: the project.
        position: first part of the positional encoding's keys; with ``blocks``, it identifies the format.
        blocks: first part of the blocks' keys.
        renames: patterns and replacements, applied to every key in this order.
    """
    name: str
    position: str
    blocks: str
    renames: tuple[Rename, ...] = ()


def _stem_stage(match: re.Match) -> str:
    # The authors' numbering also counts the GELUs between the stages.
    return f'patch_embed.proj.{2 * int(match[1])}.{("conv", "bn").index(match[2])}.'


FORMATS = (
    Format('mmpretrain', 'pos_embed', 'xca_layers', (
        (r'^pos_embed\.token_projection\.conv\.', 'pos_embeder.token_projection.'),
        (r'^patch_embed\.proj\.(\d+)\.(conv|bn)\.', _stem_stage),
        (r'^xca_layers\.', 'blocks.'),
        (r'\.local_mp\.conv(\d)\.conv\.', r'.local_mp.conv\1.'),
        (r'\.local_mp\.conv\d\.bn\.', '.local_mp.bn.'),
        (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
        (r'\.ffn\.layers\.1\.', '.mlp.fc2.'))),
    Format('timm', 'pos_embed', 'blocks', ((r'^pos_embed\.', 'pos_embeder.'), )),
    Format("the authors'", 'pos_embeder', 'blocks'),
)
PYRAMID = r'fpn\d+\.'
# Parts of a classifier that dense prediction does not need.
DROPPED = r'cls_token$|cls_attn_blocks\.|ca_layers\.|norm\.|head\.'


@dataclass(frozen=True)
class Translation:
    """A checkpoint's weights under this package's names.

    Attributes:
        format: project and kind of model, e.g. ``'timm classifier'``.
        variant: sizes of the XCiT; None if the keys that determine them are missing.
        backbone: weights of the XCiT.
        others: weights of necks and heads, under their original names.
        prefix: prefix of the XCiT's keys in the checkpoint: ``'backbone.'`` in a whole model, '' in a bare backbone.
        dropped: keys of the class attention and the classifier head.
    """
    format: str
    variant: Variant | None
    backbone: dict[str, Tensor]
    others: dict[str, Tensor]
    prefix: str
    dropped: list[str]

    @property
    def arch(self) -> str:
        """Name of the architecture, e.g. ``'small_12_p16'``."""
        return str(self.variant or 'unknown size')

    @property
    def levels(self) -> set[str]:
        """Key prefixes of the pyramid levels, e.g. ``{'fpn1.', 'fpn2.'}``."""
        return {match[0] for key in self.backbone if (match := re.match(PYRAMID, key))}

    def state_dict(self) -> dict[str, Tensor]:
        """Return all weights under the authors' names; XCiT keys start with ``backbone.`` if the model has heads."""
        prefix = 'backbone.' if self.others else ''
        return {prefix + key: value for key, value in self.backbone.items()} | self.others


def translate(state_dict: Mapping[str, Tensor]) -> Translation:
    """Translate weights in any published format: the authors', timm's or mmpretrain's.

    Args:
        state_dict: weights of an XCiT backbone or classifier, or of a segmentor or detector with one; not modified.

    Raises:
        InputError: the weights do not contain an XCiT, or contain several.
    """
    formats = find_formats(state_dict)
    if len(formats) > 1:
        raise InputError(f'it holds {len(formats)} XCiTs ({", ".join(formats)}); save the weights of one of them')
    (prefix, source), = formats.items()
    return translate_part(state_dict, source, prefix)


def translate_part(state_dict: Mapping[str, Tensor], source: Format, prefix: str) -> Translation:
    """Translate the XCiT under a prefix; all other keys go into ``others``."""
    backbone, others, dropped = {}, {}, []
    for key, value in state_dict.items():
        if not key.startswith(prefix):
            others[key] = value
            continue
        name = key[len(prefix):]
        if re.match(DROPPED, name):
            dropped.append(key)
            continue
        for pattern, replacement in source.renames:
            name = re.sub(pattern, replacement, name)
        backbone[name] = value
    kind = 'classifier' if dropped else 'dense model' if others else 'backbone'
    return Translation(f'{source.name} {kind}', _read_variant(backbone), backbone, others, prefix, dropped)


def find_formats(state_dict: Mapping[str, Tensor]) -> dict[str, Format]:
    """Return the key prefix and format of each XCiT.

    Raises:
        InputError: the weights do not contain an XCiT.
    """
    found: dict[str, Format] = {}
    for source in FORMATS:
        for key in state_dict:
            match = re.match(rf'(.*\.)??{source.position}\.token_projection\.', key)
            prefix = match and (match[1] or '')
            if prefix is not None and prefix not in found and any(
                    other.startswith(f'{prefix}{source.blocks}.') for other in state_dict):
                found[prefix] = source
    if found:
        return found
    beginnings = list(dict.fromkeys(key.split('.')[0] for key in state_dict))
    listed = ', '.join(beginnings[:5]) + (', …' if len(beginnings) > 5 else '')
    raise InputError(f'this checkpoint does not contain XCiT weights (its keys begin with {listed})' if listed else
                     'this checkpoint does not contain XCiT weights (it is empty)')


def _read_variant(backbone: Mapping[str, Tensor]) -> Variant | None:
    stages = [key for key in backbone if re.fullmatch(r'patch_embed\.proj\.\d+\.0\.weight', key)]
    blocks = {int(match[1]) for key in backbone if (match := re.match(r'blocks\.(\d+)\.', key))}
    try:
        return Variant(embed_dim=len(backbone['pos_embeder.token_projection.bias']), depth=max(blocks) + 1,
                       num_heads=len(backbone['blocks.0.attn.temperature']), patch_size=2 ** len(stages))
    except (KeyError, TypeError, ValueError):  # keys are missing or have odd shapes, which loading will report
        return None
