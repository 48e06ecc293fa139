# No dense-prediction recipe was published for this size, so we chose the drop path rate.
_base_ = '../xcit_sem_fpn_ade20k.py'
model = dict(
    backbone=dict(
        arch='large_24_p16',
        drop_path_rate=0.2,
        init_cfg=dict(checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_large_24_p16_384_dist.pth')),
    neck=dict(in_channels=[768, 768, 768, 768], out_channels=768),
    decode_head=dict(in_channels=[768, 768, 768, 768]))
