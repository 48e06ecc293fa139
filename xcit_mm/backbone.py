"""XCiT as a dense-prediction backbone for the MM packages."""
from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from . import checkpoints
from .errors import InputError
from .layers import PYRAMID_STRIDES, PatchEmbedding, PositionalEncoding, XCiTBlock, build_resampler
from .ops.recomputation import run_recomputed
from .statistics import Moments, Statistics
from .variants import get_variant


@MODELS.register_module()
class XCiT(nn.Module):
    """Cross-covariance image transformer (arXiv 2106.09681) without its class attention.

    Parameters are named as in the authors' dense backbone, so the published weights load unchanged. The class follows
    the protocol of MMEngine's ``BaseModule`` (``init_cfg``, ``init_weights``) but does not inherit from it, because
    importing ``mmengine.model`` loads FSDP.

    Args:
        arch: a published name, e.g. ``'small_12_p16'`` (see ``xcit_mm.variants``), or a dict of ``embed_dim``,
            ``depth``, ``num_heads`` and ``patch_size``.
        out_indices: blocks (0-based, repeats allowed) whose outputs are returned. Default: those at 1/3, 1/2, 2/3 and
            the full depth, as published.
        drop_path_rate: probability of skipping a residual branch, the same for all blocks.
        norm_cfg: MM config of the norms in the stem, LPI and the pyramid.
        frozen_stages: -1 freezes nothing, 0 freezes the stem and the positional encoding, and k also freezes the first
            k blocks. Frozen modules get no gradients and stay in eval mode.
        with_cp: recompute each block in the backward pass instead of storing its activations.
        norm_eval: keep batch norms in eval mode while training.
        pyramid: resample the four maps to strides 4, 8, 16 and 32; if False, all maps have the patch stride.
        attention: ``'gram'`` computes XCA from C x C matrices, ``'direct'`` follows the paper's formula with the same
            result, and ``'auto'`` selects the cheaper form for the input's shape.
        attn_drop_rate: dropout of the attention maps.
        channels_last: return maps in the channels-last memory format in which they are computed, which is faster if
            convolutions follow. By default, maps are made contiguous, because RoIAlign and other compiled ops of mmcv
            assume contiguous input and otherwise silently return wrong results.
        init_cfg: MMEngine initialisation config. ``dict(type='Pretrained', checkpoint=...)`` loads any
            published weights unchanged (see ``xcit_mm.checkpoints``) and rejects weights that do not fit. Default:
            truncated normal (std 0.02) weights in linear layers.

    Attributes:
        out_channels: channels of each returned map.
        out_strides: image pixels per pixel of each returned map.

    Shape:
        (B, 3, H, W), normalised RGB with H and W at least the patch size -> tuple of (B, C, ~H / stride, ~W / stride).
        Sides are rounded up to a multiple of the patch size.

    Raises:
        InputError: an argument, ``arch`` or ``attention`` is unknown, or an index, stage or rate is out of range.
    """

    def __init__(self,
                 arch: str | Mapping = 'small_12_p16',
                 out_indices: Sequence[int] | None = None,
                 drop_path_rate: float = 0.0,
                 norm_cfg: dict = dict(type='BN'),
                 frozen_stages: int = -1,
                 with_cp: bool = False,
                 norm_eval: bool = False,
                 pyramid: bool = True,
                 attention: str = 'auto',
                 attn_drop_rate: float = 0.0,
                 channels_last: bool = False,
                 init_cfg: dict | list | None = None,
                 **unknown: object) -> None:
        super().__init__()
        self.init_cfg = copy.deepcopy(init_cfg)
        if unknown:
            raise InputError(_explain_unknown(next(iter(unknown))))
        self.variant = variant = get_variant(arch)
        self.out_indices = variant.out_indices if out_indices is None else tuple(out_indices)
        self.pyramid, self.channels_last = pyramid, channels_last
        self.frozen_stages, self.with_cp, self.norm_eval = frozen_stages, with_cp, norm_eval
        self._check_ranges(drop_path_rate)

        dim = variant.embed_dim
        self.patch_embed = PatchEmbedding(dim, variant.patch_size, norm_cfg)
        self.pos_embeder = PositionalEncoding(dim)  # sic: the published name
        self.blocks = nn.ModuleList(
            XCiTBlock(dim, variant.num_heads, variant.layer_scale_init, drop_path_rate, norm_cfg, attention,
                      attn_drop_rate)
            for _ in range(max(self.out_indices) + 1))  # blocks after the last tap would never get a gradient

        self.out_channels = (dim, ) * len(self.out_indices)
        self.out_strides = PYRAMID_STRIDES if pyramid else (variant.patch_size, ) * len(self.out_indices)
        for level, stride in enumerate(self.out_strides, start=1):
            self.add_module(f'fpn{level}', build_resampler(dim, variant.patch_size, stride, norm_cfg))

        self.apply(_init_linear)
        for module in self._frozen_modules():
            module.eval().requires_grad_(False)

    def _check_ranges(self, drop_path_rate: float) -> None:
        depth = self.variant.depth
        if not self.out_indices or not all(0 <= i < depth for i in self.out_indices):
            raise InputError(f'out_indices must name blocks 0 … {depth - 1}, but is {self.out_indices}')
        if self.pyramid and len(self.out_indices) != len(PYRAMID_STRIDES):
            raise InputError(f'a pyramid needs {len(PYRAMID_STRIDES)} out_indices, but got '
                             f'{len(self.out_indices)}; set pyramid=False to return another number of maps')
        if not 0 <= drop_path_rate < 1:
            raise InputError(f'drop_path_rate must be in [0, 1), but is {drop_path_rate}')
        if not -1 <= self.frozen_stages <= depth:
            raise InputError(f'frozen_stages must be in -1 … {depth}, but is {self.frozen_stages}')

    def forward(self, image: Tensor, statistics: Statistics | None = None) -> tuple[Tensor, ...]:
        x = self.patch_embed(image)  # (B, C, H / patch, W / patch)
        height, width = x.shape[-2:]
        x = x.flatten(2).transpose(1, 2)  # (B, N, C)
        x = x + self.pos_embeder(height, width)

        if statistics and statistics.observes:
            first = cast(XCiTBlock, self.blocks[0])
            statistics.observe(first.norm1(x))
        taps = {}
        for index, block in enumerate(self.blocks):
            moments = statistics.moments(index, height, width) if statistics else None
            x = self._run_block(block, x, height, width, moments)
            if index in self.out_indices:
                taps[index] = x.transpose(1, 2).unflatten(2, (height, width))  # (B, C, height, width)

        levels = (self.get_submodule(f'fpn{level}')(taps[index])
                  for level, index in enumerate(self.out_indices, start=1))
        return tuple(level if self.channels_last else level.contiguous() for level in levels)

    def init_weights(self) -> None:
        """Initialise the weights according to ``init_cfg``; MMEngine's runner calls this before training.

        Raises:
            InputError: the pretrained weights are missing or do not fit this architecture.
        """
        from mmengine.model import PretrainedInit, initialize

        configs = [self.init_cfg] if isinstance(self.init_cfg, Mapping) else list(self.init_cfg or ())
        if not any(config['type'] in ('Pretrained', 'PretrainedInit', PretrainedInit) for config in configs):
            initialize(self, configs)
        elif len(configs) == 1 and set(configs[0]) == {'type', 'checkpoint'}:
            checkpoints.load(self, configs[0]['checkpoint'])
        else:
            raise InputError(f"cannot load pretrained weights: init_cfg must be dict(type='Pretrained', "
                             f'checkpoint=...) without other entries, but is {self.init_cfg}')

    def unbuilt_keys(self) -> dict[str, str]:
        """Return patterns for the published keys whose parameters this model does not build, each with the reason."""
        patterns = {}
        if len(self.blocks) < self.variant.depth:
            unbuilt = '|'.join(map(str, range(len(self.blocks), self.variant.depth)))
            patterns[rf'blocks\.({unbuilt})\.'] = 'blocks after the last tap'
        if not self.pyramid:
            patterns[r'fpn\d+\.'] = 'no pyramid'
        return patterns

    def train(self, mode: bool = True) -> XCiT:
        """Set training or eval mode; frozen stages, and batch norms under ``norm_eval``, stay in eval mode."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _run_block(self, block: nn.Module, x: Tensor, height: int, width: int, moments: Moments | None) -> Tensor:
        trained = x.requires_grad or any(parameter.requires_grad for parameter in block.parameters())
        if not (self.with_cp and trained and torch.is_grad_enabled()):
            return block(x, height, width, moments)
        return run_recomputed(block, x, height, width, moments)

    def _frozen_modules(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        return [self.patch_embed, self.pos_embeder, *self.blocks[:self.frozen_stages]]


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


def _explain_unknown(name: str) -> str:
    names = [parameter for parameter in inspect.signature(XCiT).parameters if parameter != 'unknown']
    nearest = ['model.backbone.init_cfg'] if name == 'pretrained' else difflib.get_close_matches(name, names, 1)
    hint = f'did you mean {nearest[0]!r}?' if nearest else f'its arguments are {", ".join(names)}.'
    return f'XCiT has no argument {name!r}; {hint} To replace the backbone of a base config, add _delete_=True'
