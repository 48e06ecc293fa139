"""Choose the function to export from a model, and prepare it for tracing with symbolic sizes."""
from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmseg.models import BaseSegmentor
from mmseg.models.utils import Upsample
from torch import Tensor, nn

from ..backbone import XCiT
from ..errors import InputError
from ..heads.standard import is_standard
from ..layers import CrossCovarianceAttention
from .symbolic import IntegerUpsample, MatrixPool2d


class Levels(nn.Module):
    """Feature maps of a backbone: (B, in_channels, H, W) float32 -> tuple of (B, C, ~H / stride, ~W / stride)."""

    has_classes = False

    def __init__(self, backbone: XCiT) -> None:
        super().__init__()
        self.backbone = backbone
        self.strides, self.in_channels = list(backbone.out_strides), backbone.patch_embed.in_channels
        self.output_names = [f'level{index}' for index in range(1, len(self.strides) + 1)]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.backbone(image)


class Logits(nn.Module):
    """Logits of a segmentor: (B, in_channels, H, W) normalised, float32 -> a 1-tuple (B, classes, H, W).

    They are resized to the image size, as in mmseg before the argmax.
    """

    output_names, strides, has_classes = ['logits'], [1], True

    def __init__(self, model: BaseSegmentor) -> None:
        super().__init__()
        # Auxiliary heads are left out because they are only used in training.
        self.backbone, self.head = model.backbone, model.decode_head
        self.neck = model.neck if model.with_neck else nn.Identity()
        self.in_channels = model.backbone.patch_embed.in_channels

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        logits = self.head(self.neck(self.backbone(image)))
        return F.interpolate(logits, image.shape[2:], mode='bilinear', align_corners=self.head.align_corners),


def exported_function(model: BaseModel, backbone_only: bool = False) -> Levels | Logits:
    """Return the function to export from a model; it shares the model's modules.

    Args:
        model: from ``init_model``.
        backbone_only: leave out neck and head.

    Raises:
        InputError: the backbone is not an XCiT, or the model has no function to export, is in training mode, or is not
            in float32 on the CPU.
    """
    backbone = model.backbone
    if not isinstance(backbone, XCiT):
        raise InputError(f'cannot export a model whose backbone is a {type(backbone).__name__}; use an XCiT')
    if any(module.training for module in model.modules()):
        raise InputError('cannot export a model in training mode; call its eval() first')
    for name, parameter in model.named_parameters():
        if parameter.device.type != 'cpu' or parameter.dtype != torch.float32:
            raise InputError(f'cannot export the model: it must be in float32 on the CPU, but {name} is '
                             f'{parameter.dtype} on {parameter.device}; call its .float().cpu() first')
    settings = getattr(model, 'test_cfg', None) or {}
    for name, given in (('backbone', backbone.statistics), ('test_cfg', settings.get('statistics'))):
        if given not in (None, 'auto', 'image'):
            raise InputError(f'cannot export statistics {given}: an exported file sums over the image, as published; '
                             f"set model.{name}.statistics='image'")
    if backbone_only:
        return Levels(backbone).eval()
    if not is_standard(model):
        raise InputError(f'cannot export a {type(model).__name__}: it is not a segmentor with one standard head; '
                         'use --backbone-only, or mmdeploy for detectors')
    return Logits(model).eval()


def prepare(function: nn.Module) -> nn.Module:
    """Return an eval-mode copy of a function in which no operation depends on the size of the traced image.

    The copy computes the same function. ``attention='auto'`` depends on the size, so the copy uses the Gram form, which
    is faster except on small images.
    """
    copied = copy.deepcopy(function).eval().requires_grad_(False)
    for module in list(copied.modules()):
        if isinstance(module, CrossCovarianceAttention) and module.form == 'auto':
            module.form = 'gram'
        for name, child in module.named_children():
            if isinstance(child, nn.AdaptiveAvgPool2d) and isinstance(child.output_size, int):
                setattr(module, name, MatrixPool2d(child.output_size))
            elif isinstance(child, Upsample) and not child.size:
                setattr(module, name, IntegerUpsample(child))
    return copied
