# No dense-prediction recipe was published for this size, so we chose the drop path rate.
_base_ = '../xcit_mask_rcnn_coco.py'
model = dict(
    backbone=dict(
        arch='nano_12_p16',
        drop_path_rate=0.0,
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_nano_12_p16_384_dist.pth')),
    neck=dict(in_channels=[128, 128, 128, 128]))
