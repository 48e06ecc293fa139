# Street-scene segmentation: trains on 1024 px crops and tests on whole images of 2048 x 1024 px.
_base_ = [
    '../_base_/models/upernet_xcit.py', '../_base_/datasets/cityscapes.py', '../_base_/schedules/adamw_80k.py',
    '../_base_/segmentation_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=(1024, 1024)),
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_small_12_p16_384_dist.pth')),
    decode_head=dict(num_classes=19),
    auxiliary_head=dict(num_classes=19))
