_base_ = '../xcit_upernet_ade20k.py'
model = dict(
    backbone=dict(
        arch='small_24_p16',
        drop_path_rate=0.1,
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_small_24_p16_384_dist.pth')))
