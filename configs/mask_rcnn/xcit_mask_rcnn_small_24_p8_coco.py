_base_ = 'xcit_mask_rcnn_small_24_p16_coco.py'
model = dict(
    backbone=dict(
        arch='small_24_p8',
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_small_24_p8_384_dist.pth')))
