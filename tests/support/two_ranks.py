"""Train a small model in two processes on the CPU, without searching for unused parameters."""
import gc
import sys
from functools import partial

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from xcit_mm import XCiT

ARCH = dict(embed_dim=16, depth=4, num_heads=2, patch_size=16)
NORM = dict(type='BN')
ITERATIONS = 3


class Network(nn.Module):
    """A backbone with a neck and a head; ``forward`` returns a number that depends on all outputs."""

    def __init__(self, backbone, neck, head):
        super().__init__()
        self.backbone, self.neck, self.head = backbone, neck, head

    def forward(self, image):
        outputs = self.head(self.neck(self.backbone(image)))
        flat = [outputs] if isinstance(outputs, torch.Tensor) else [each for group in outputs for each in group]
        return sum(output.float().square().mean() for output in flat)


def build_fcn():
    """Build mmseg's FCN head on one level."""
    from mmseg.models.decode_heads import FCNHead

    head = FCNHead(in_channels=16, in_index=0, channels=8, num_convs=1, num_classes=3, norm_cfg=NORM)
    return Network(XCiT(ARCH, out_strides=[8]), nn.Identity(), head)


def build_retinanet():
    """Build mmdet's RetinaNet: three levels from the backbone, five from the neck."""
    from mmdet.models.dense_heads import RetinaHead
    from mmdet.models.necks import FPN

    neck = FPN([16] * 3, 16, num_outs=5, start_level=0, add_extra_convs='on_output')
    return Network(XCiT(ARCH, out_strides=[8, 16, 32]), neck, RetinaHead(3, 16, stacked_convs=1, feat_channels=16))


def build_rtmdet():
    """Build mmdet's RTMDet, which uses three levels."""
    from mmdet.models.dense_heads import RTMDetHead
    from mmdet.models.necks import CSPNeXtPAFPN

    neck = CSPNeXtPAFPN([16] * 3, 16, num_csp_blocks=1, norm_cfg=NORM)
    head = RTMDetHead(3, 16, stacked_convs=1, feat_channels=16, with_objectness=False, norm_cfg=NORM,
                      anchor_generator=dict(type='MlvlPointGenerator', offset=0, strides=[8, 16, 32]),
                      bbox_coder=dict(type='DistancePointBBoxCoder'), loss_bbox=dict(type='GIoULoss'))
    return Network(XCiT(ARCH, out_strides=[8, 16, 32], with_cp=True), neck, head)


def build_five_levels():
    """Build a separate head for each of five levels."""
    head = Each(nn.ModuleList(nn.Conv2d(16, 2, 1) for _ in range(5)))
    return Network(XCiT(ARCH, out_strides=[4, 8, 16, 32, 64]), nn.Identity(), head)


class Each(nn.Module):
    """One module for each level."""

    def __init__(self, modules):
        super().__init__()
        self.each = modules

    def forward(self, levels):
        return [[module(level)] for module, level in zip(self.each, levels, strict=True)]


def build_unused():
    """Build a head that uses only one of three levels, so that the others get no gradient."""
    network = build_fcn()
    network.backbone = XCiT(ARCH, out_strides=[4, 8, 16])
    network.head.in_index = 1
    return network


BUILDERS = dict(fcn=build_fcn, retinanet=build_retinanet, rtmdet=build_rtmdet, five_levels=build_five_levels,
                unused=build_unused)


def train(rank, kinds, folder):
    """Train in one of two processes, and end the threads of the process group, as ``xcit_mm.command_line.run`` does."""
    train_each(rank, kinds, folder)
    torch.distributed.destroy_process_group()
    gc.collect()


def train_each(rank, kinds, folder):
    """Train each kind of network, and save its gradients and weights."""
    sys.modules['transformers'] = None  # ``tests/conftest.py`` cannot hide it from spawned processes
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    for kind in kinds:
        torch.manual_seed(0)
        network = BUILDERS[kind]()
        model = DistributedDataParallel(network, find_unused_parameters=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        torch.manual_seed(rank)
        for _ in range(ITERATIONS):
            optimizer.zero_grad()
            model(torch.randn(2, 3, 128, 128)).backward()
            optimizer.step()
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        torch.save((gradients, dict(network.named_parameters())), f'{folder}/{kind}_{rank}.pth')


def run(kinds, folder):
    """Train each kind of network in the same two processes, and return its gradients and weights from both."""
    torch.multiprocessing.spawn(partial(train, kinds=kinds, folder=folder), nprocs=2)
    return [[torch.load(f'{folder}/{kind}_{rank}.pth') for rank in range(2)] for kind in kinds]
