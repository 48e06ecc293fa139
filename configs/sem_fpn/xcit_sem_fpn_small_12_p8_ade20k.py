_base_ = 'xcit_sem_fpn_small_12_p16_ade20k.py'
model = dict(
    backbone=dict(
        arch='small_12_p8',
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_small_12_p8_384_dist.pth')))
