# Land-cover segmentation in aerial images.
_base_ = [
    '../_base_/models/upernet_xcit.py', '../_base_/datasets/loveda.py', '../_base_/schedules/adamw_80k.py',
    '../_base_/segmentation_runtime.py'
]
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_small_12_p16_384_dist.pth')),
    decode_head=dict(num_classes=7),
    auxiliary_head=dict(num_classes=7))
