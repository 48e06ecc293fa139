# No dense-prediction recipe was published for this size, so we chose the drop path rate.
_base_ = '../xcit_mask_rcnn_coco.py'
model = dict(
    backbone=dict(
        arch='tiny_24_p16',
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_tiny_24_p16_384_dist.pth')),
    neck=dict(in_channels=[192, 192, 192, 192]))
