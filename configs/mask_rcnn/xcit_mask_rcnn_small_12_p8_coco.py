_base_ = 'xcit_mask_rcnn_small_12_p16_coco.py'
model = dict(
    backbone=dict(
        arch='small_12_p8',
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_small_12_p8_384_dist.pth')))
