_base_ = '../xcit_upernet_ade20k.py'
model = dict(
    backbone=dict(
        arch='medium_24_p16',
        drop_path_rate=0.15,
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_medium_24_p16_384_dist.pth')),
    decode_head=dict(in_channels=[512, 512, 512, 512]),
    auxiliary_head=dict(in_channels=512))
