# No dense-prediction recipe was published for this size, so we chose the drop path rate.
_base_ = '../xcit_upernet_ade20k.py'
model = dict(
    backbone=dict(
        arch='nano_12_p16',
        drop_path_rate=0.0,
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_nano_12_p16_384_dist.pth')),
    decode_head=dict(in_channels=[128, 128, 128, 128]),
    auxiliary_head=dict(in_channels=128))
