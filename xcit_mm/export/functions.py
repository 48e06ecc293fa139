"""The function of an image that is exported, and the same prepared for tracing with symbolic sizes."""
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
from ..inference.modes.logits import is_standard
from ..layers import CrossCovarianceAttention
from .symbolic import IntegerUpsample, MatrixPool2d


class Levels(nn.Module):
    """The maps of a backbone: (B, 3, H, W) normalised RGB, float32 -> a tuple of (B, C, ~H / stride, ~W / stride)."""

    has_classes = False

    def __init__(self, backbone: XCiT) -> None:
        super().__init__()
        self.backbone = backbone
        self.strides = list(backbone.out_strides)
        self.output_names = [f'level{index}' for index in range(1, len(self.strides) + 1)]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.backbone(image)


class Logits(nn.Module):
    """The logits of a segmentor: (B, 3, H, W) normalised RGB, float32 -> a tuple of (B, classes, H, W).

    They are resized to the image, as mmseg does it before it compares them.
    """

    output_names, strides, has_classes = ['logits'], [1], True

    def __init__(self, model: BaseSegmentor) -> None:
        super().__init__()
        # Nothing else: auxiliary heads are for training.
        self.backbone, self.head = model.backbone, model.decode_head
        self.neck = model.neck if model.with_neck else nn.Identity()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        logits = self.head(self.neck(self.backbone(image)))
        return F.interpolate(logits, image.shape[2:], mode='bilinear', align_corners=self.head.align_corners),


def exported_function(model: BaseModel, backbone_only: bool = False) -> Levels | Logits:
    """The function that is exported of a model: it shares the model's modules.

    Args:
        model: from ``init_model``.
        backbone_only: leave out neck and head.

    Raises:
        InputError: there is no such function of this model, it is in training mode, or not in float32 on the CPU.
    """
    backbone = model.backbone
    if not isinstance(backbone, XCiT):
        raise InputError(f'only models over an XCiT are exported, but the backbone is a {type(backbone).__name__}')
    if any(module.training for module in model.modules()):
        raise InputError('a model is exported as it is in inference: call its eval() first')
    for name, parameter in model.named_parameters():
        if parameter.device.type != 'cpu' or parameter.dtype != torch.float32:
            raise InputError(f'a model is exported in float32 from the CPU, but {name} is {parameter.dtype} on '
                             f'{parameter.device}: call its .float().cpu() first')
    if backbone_only:
        return Levels(backbone).eval()
    if not is_standard(model):
        raise InputError(f'only segmentors with one head, and backbones, are exported, not a {type(model).__name__}: '
                         'take --backbone-only, or mmdeploy for detectors')
    return Logits(model).eval()


def prepare(function: nn.Module) -> nn.Module:
    """A copy in eval mode, equal to the function, in which nothing depends on the size that it is traced with.

    ``attention='auto'`` chooses by size, and becomes the Gram form: the faster one for all but small images.
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
