# Semantic FPN with XCiT-S12/16 on ADE20K, 8 GPUs x 2 images.
_base_ = [
    '_base_/models/sem_fpn_xcit.py', '_base_/datasets/ade20k.py', '_base_/schedules/adamw_80k.py',
    '_base_/segmentation_runtime.py'
]
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_small_12_p16_384_dist.pth')))
