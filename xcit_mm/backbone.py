"""XCiT as a dense-prediction backbone for the MM packages."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from . import checkpoints
from .arguments import ARGUMENTS, check_arguments, choose_levels
from .errors import InputError
from .layers import PYRAMID_STRIDES, PatchEmbedding, PositionalEncoding, XCiTBlock, build_resampler
from .ops.layouts import to_map
from .ops.recomputation import run_recomputed
from .statistics import Statistics, build_statistics, for_forward
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
        in_channels: channels of the image. If there are more than 3, the first three must be red, green and blue for
            an RGB checkpoint, whose stem is adapted (see ``checkpoints``).
        out_indices: blocks (0-based, repeats allowed) whose outputs are returned, one for each stride. Default: those
            at 1/3, 1/2, 2/3 and the full depth for strides 4, 8, 16 and above, as published; the coarsest level
            always gets the last block.
        out_strides: strides of the pyramid's levels, any ascending selection of 4, 8, 16, 32 and 64. Only these levels
            are built. Default: 4, 8, 16 and 32, as published.
        drop_path_rate: probability of skipping a residual branch, the same for all blocks.
        norm_cfg: MM config of the norms in the stem, LPI and the pyramid.
        frozen_stages: -1 freezes nothing, 0 freezes the stem and the positional encoding, and k also freezes the first
            k blocks. Frozen modules get no gradients and stay in eval mode.
        with_cp: recompute each block in the backward pass instead of storing its activations.
        norm_eval: keep batch norms in eval mode while training.
        pyramid: resample the maps to ``out_strides``; if False, all maps have the patch stride.
        attention: ``'gram'`` computes XCA from C x C matrices, ``'direct'`` follows the paper's formula with the same
            result, and ``'auto'`` selects the cheaper form for the input's shape.
        attn_drop_rate: dropout of the attention maps.
        channels_last: return maps in the channels-last memory format in which they are computed, which is faster if
            convolutions follow. By default, maps are contiguous, as RoIAlign and other ops of mmcv silently assume.
        statistics: what attention sums over, in training too: a registered name, or ``dict(type=name, ...)`` (see
            ``xcit_mm.statistics``). Default: all tokens of an image, as published.
        init_cfg: MMEngine config. ``dict(type='Pretrained', checkpoint=...)`` loads any published weights (see
            ``xcit_mm.checkpoints``). Default: truncated normal (std 0.02) weights in linear layers.

    Attributes:
        out_channels: channels of each returned map.
        out_strides: image pixels per pixel of each returned map.

    Shape:
        (B, in_channels, H, W), normalised, with H and W at least the patch size -> tuple of
        (B, C, ~H / stride, ~W / stride). Sides are rounded up to a multiple of the patch size.

    Raises:
        InputError: an argument is unknown, of a wrong type or out of range, or a norm does not fit the widths.
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
                 in_channels: int = 3,
                 out_strides: Sequence[int] | None = None,
                 statistics: str | Mapping | None = None,
                 **unknown: object) -> None:
        arguments = {name: value for name, value in locals().items() if name in ARGUMENTS}
        super().__init__()
        check_arguments(arguments, unknown)
        self.init_cfg = copy.deepcopy(init_cfg)
        self.variant = variant = get_variant(arch)
        self.out_indices, self.out_strides = choose_levels(variant, out_indices, out_strides, pyramid)
        self.pyramid, self.channels_last, self.norm_eval = pyramid, channels_last, norm_eval
        self.frozen_stages, self.with_cp, self.statistics = frozen_stages, with_cp, copy.deepcopy(statistics)
        build_statistics(statistics or 'image')  # only to report errors
        if not -1 <= frozen_stages <= variant.depth:
            raise InputError(f'frozen_stages must be in -1 … {variant.depth}, but got {frozen_stages}')

        dim = variant.embed_dim
        self.patch_embed = PatchEmbedding(dim, variant.patch_size, norm_cfg, in_channels)
        self.pos_embeder = PositionalEncoding(dim)  # sic: the published name
        self.blocks = nn.ModuleList(
            XCiTBlock(dim, variant.num_heads, variant.layer_scale_init, drop_path_rate, norm_cfg, attention,
                      attn_drop_rate)
            for _ in range(max(self.out_indices) + 1))  # blocks after the last tap would never get a gradient

        self.out_channels = (dim, ) * len(self.out_indices)
        # As in the published code, fpn1 has stride 4, fpn2 has stride 8, and so on, regardless of which ones are built.
        self._levels = [f'fpn{PYRAMID_STRIDES.index(stride) + 1 if pyramid else level}'
                        for level, stride in enumerate(self.out_strides, start=1)]
        for name, stride in zip(self._levels, self.out_strides):
            self.add_module(name, build_resampler(dim, variant.patch_size, stride, norm_cfg))

        self.apply(_init_linear)
        for module in self._frozen_modules():
            module.eval().requires_grad_(False)

    def forward(self, image: Tensor, statistics: Statistics | None = None) -> tuple[Tensor, ...]:
        statistics = for_forward(statistics, self.statistics)
        x = self.patch_embed(image)  # (B, C, H / patch, W / patch)
        height, width = x.shape[-2:]
        x = x.flatten(2).transpose(1, 2) + self.pos_embeder(height, width)  # (B, N, C)

        if statistics:
            statistics.begin(image.shape[2], image.shape[3], self.variant.patch_size)
            if statistics.observes:
                with torch.no_grad():  # and without the norm's hooks, which expect one call for each pass
                    statistics.observe(cast(XCiTBlock, self.blocks[0]).norm1.forward(x))
        taps = {}
        for index, block in enumerate(self.blocks):
            x = self._run_block(index, block, x, height, width, statistics)
            if index in self.out_indices:
                taps[index] = to_map(x, height, width)

        levels = (resampler(taps[index]) for resampler, index in zip(self.resamplers(), self.out_indices))
        return tuple(level if self.channels_last else level.contiguous() for level in levels)

    def resamplers(self) -> list[nn.Module]:
        """Return the modules that resample the maps to their strides, finest first."""
        return [self.get_submodule(name) for name in self._levels]

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
                             f'checkpoint=...) without other entries, but got {self.init_cfg}')

    def unbuilt_keys(self) -> dict[str, str]:
        """Return patterns for the published keys that this model lacks, each mapped to the reason."""
        patterns = {}
        if len(self.blocks) < self.variant.depth:
            blocks = '|'.join(map(str, range(len(self.blocks), self.variant.depth)))
            patterns[rf'blocks\.({blocks})\.'] = 'blocks after the last tap'
        if not self.pyramid:
            patterns[r'fpn\d+\.'] = 'no pyramid'
        elif levels := {f'fpn{number + 1}' for number in range(len(PYRAMID_STRIDES))} - set(self._levels):
            patterns[rf'({"|".join(sorted(levels))})\.'] = 'levels not in out_strides'
        return patterns

    def train(self, mode: bool = True) -> XCiT:
        """Set training or eval mode; frozen stages (and batch norms, with ``norm_eval``) stay in eval mode."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _run_block(self, index: int, block: nn.Module, x: Tensor, height: int, width: int,
                   statistics: Statistics | None) -> Tensor:
        def run(x: Tensor) -> Tensor:  # with empty sums each time, because recomputation calls this twice
            return block(x, height, width, statistics.moments(index, height, width) if statistics else None)

        trained = x.requires_grad or any(parameter.requires_grad for parameter in block.parameters())
        if not (self.with_cp and trained and torch.is_grad_enabled()):
            return run(x)
        return run_recomputed(block, run, x)

    def _frozen_modules(self) -> list[nn.Module]:
        return [] if self.frozen_stages < 0 else [
            self.patch_embed, self.pos_embeder, *self.blocks[:self.frozen_stages]]


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
