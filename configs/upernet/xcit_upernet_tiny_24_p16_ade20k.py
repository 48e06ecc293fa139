# No dense-prediction recipe was published for this size, so we chose the drop path rate.
_base_ = '../xcit_upernet_ade20k.py'
model = dict(
    backbone=dict(
        arch='tiny_24_p16',
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_tiny_24_p16_384_dist.pth')),
    decode_head=dict(in_channels=[192, 192, 192, 192]),
    auxiliary_head=dict(in_channels=192))
