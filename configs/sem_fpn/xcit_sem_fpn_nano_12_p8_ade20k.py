_base_ = 'xcit_sem_fpn_nano_12_p16_ade20k.py'
model = dict(
    backbone=dict(
        arch='nano_12_p8',
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_nano_12_p8_384_dist.pth')))
