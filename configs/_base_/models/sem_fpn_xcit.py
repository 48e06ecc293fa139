# The neck and the head of the authors' Semantic FPN; the neck is as wide as the backbone.
_base_ = 'segmentor_xcit.py'
model = dict(
    neck=dict(type='FPN', in_channels=[384, 384, 384, 384], out_channels=384, num_outs=4),
    decode_head=dict(
        type='FPNHead',
        in_channels=[384, 384, 384, 384],
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=128,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)))
