"""The published formats of XCiT's weights, and their translation into the names of this package.

Those names are the names of the authors' dense backbone: a translated checkpoint is one of theirs, too.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ..errors import InputError
from ..variants import Variant

Rename = tuple[str, str | Callable[[re.Match], str]]  # pattern, replacement: as of re.sub


@dataclass(frozen=True)
class Format:
    """How one project names the weights.

    Attributes:
        name: whose.
        position: first part of the key of the position's projection, which tells formats apart.
        blocks: first part of the keys of the blocks.
        renames: applied in this order to every key.
    """
    name: str
    position: str
    blocks: str
    renames: tuple[Rename, ...] = ()


def _stem_stage(match: re.Match) -> str:
    # The authors number the GELUs between the stages, too.
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
# Parts of a classifier that dense prediction has no use for.
DROPPED = r'cls_token$|cls_attn_blocks\.|ca_layers\.|norm\.|head\.'


@dataclass(frozen=True)
class Translation:
    """The weights of a checkpoint under the names of this package.

    Attributes:
        format: whose names they had, and of what.
        variant: sizes of the XCiT that they are of; None where keys that tell are missing.
        backbone: weights of the XCiT.
        others: weights beside a backbone, of necks and heads, under their own names.
        prefix: what stood before the keys of the XCiT: ``'backbone.'`` in a whole model, or nothing.
        dropped: keys of class attention and of a classifier's head.
    """
    format: str
    variant: Variant | None
    backbone: dict[str, Tensor]
    others: dict[str, Tensor]
    prefix: str
    dropped: list[str]

    @property
    def has_pyramid(self) -> bool:
        return any(re.match(PYRAMID, key) for key in self.backbone)

    def state_dict(self) -> dict[str, Tensor]:
        """All weights under the names of the authors' dense models: with heads, a backbone is ``backbone.``."""
        prefix = 'backbone.' if self.others else ''
        return {prefix + key: value for key, value in self.backbone.items()} | self.others


def translate(state_dict: Mapping[str, Tensor]) -> Translation:
    """Translate weights of any published format: the authors', timm's or mmpretrain's.

    Args:
        state_dict: of a backbone or a classifier, or of a segmentor or detector around one. It is not changed.

    Raises:
        InputError: there is no XCiT in it.
    """
    source, prefix = _recognise(state_dict)
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


def _recognise(state_dict: Mapping[str, Tensor]) -> tuple[Format, str]:
    """The format, and what stands before the keys of the XCiT."""
    for source in FORMATS:
        for key in state_dict:
            match = re.match(rf'(.*\.)??{source.position}\.token_projection\.', key)
            if match:
                prefix = match[1] or ''
                if any(other.startswith(f'{prefix}{source.blocks}.') for other in state_dict):
                    return source, prefix
    beginnings = list(dict.fromkeys(key.split('.')[0] for key in state_dict))
    listed = ', '.join(beginnings[:5]) + (', …' if len(beginnings) > 5 else '')
    raise InputError(f'these are no weights of XCiT: their keys begin with {listed or "nothing"}')


def _read_variant(backbone: Mapping[str, Tensor]) -> Variant | None:
    stages = [key for key in backbone if re.fullmatch(r'patch_embed\.proj\.\d+\.0\.weight', key)]
    blocks = {int(match[1]) for key in backbone if (match := re.match(r'blocks\.(\d+)\.', key))}
    try:
        return Variant(embed_dim=len(backbone['pos_embeder.token_projection.bias']), depth=max(blocks) + 1,
                       num_heads=len(backbone['blocks.0.attn.temperature']), patch_size=2 ** len(stages))
    except (KeyError, TypeError, ValueError):  # keys are missing, or of odd shapes: loading will name them
        return None
