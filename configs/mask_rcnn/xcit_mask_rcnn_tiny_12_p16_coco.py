_base_ = '../xcit_mask_rcnn_coco.py'
model = dict(
    backbone=dict(
        arch='tiny_12_p16',
        drop_path_rate=0.0,
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_tiny_12_p16_384_dist.pth')),
    neck=dict(in_channels=[192, 192, 192, 192]))
