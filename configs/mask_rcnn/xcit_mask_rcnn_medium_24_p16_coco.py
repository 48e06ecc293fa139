_base_ = '../xcit_mask_rcnn_coco.py'
model = dict(
    backbone=dict(
        arch='medium_24_p16',
        drop_path_rate=0.15,
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_medium_24_p16_384_dist.pth')),
    neck=dict(in_channels=[512, 512, 512, 512]))
