# Mask R-CNN as mmdet has it, over small_12_p16. A sibling changes arch, drop path and the neck's widths.
_base_ = __import__('xcit_mm').config_path('_base_/models/mask-rcnn_r50_fpn.py', 'mmdet')
model = dict(
    backbone=dict(_delete_=True, type='XCiT', arch='small_12_p16', drop_path_rate=0.05),
    neck=dict(in_channels=[384, 384, 384, 384]))
