_base_ = 'xcit_upernet_medium_24_p16_ade20k.py'
model = dict(
    backbone=dict(
        arch='medium_24_p8',
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_medium_24_p8_384_dist.pth')))
