# For small training runs from scratch: 64 channels after the backbone, fewer proposals, and anchors starting at 16 px.
# The neck has norms, because XCiT's maps are not normalised and are too large for untrained heads.
_base_ = 'mask_rcnn_xcit.py'
model = dict(
    backbone=dict(drop_path_rate=0.0),
    neck=dict(out_channels=64, norm_cfg=dict(type='BN', requires_grad=True)),
    rpn_head=dict(in_channels=64, feat_channels=64, anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=dict(in_channels=64, fc_out_channels=256),
        mask_roi_extractor=dict(out_channels=64),
        mask_head=dict(in_channels=64, conv_out_channels=64)),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=300),
        rcnn=dict(sampler=dict(num=128))),
    test_cfg=dict(
        rpn=dict(nms_pre=500, max_per_img=300),
        rcnn=dict(max_per_img=200)))
