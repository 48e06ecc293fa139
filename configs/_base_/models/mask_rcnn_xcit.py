# mmdet's Mask R-CNN with a small_12_p16 backbone. For other architectures, change arch, drop_path_rate and
# the neck widths.
_base_ = __import__('xcit_mm').config_path('_base_/models/mask-rcnn_r50_fpn.py', 'mmdet')
model = dict(
    backbone=dict(_delete_=True, type='XCiT', arch='small_12_p16', drop_path_rate=0.05),
    neck=dict(in_channels=[384, 384, 384, 384]))
