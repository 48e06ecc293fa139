# Digits as separate objects, from scratch on two CPU cores.
_base_ = [
    '_base_/models/mask_rcnn_xcit_narrow.py', '_base_/datasets/digits_instances.py',
    '_base_/schedules/adamw_1k_detection.py', '_base_/detection_runtime.py'
]
model = dict(
    backbone=dict(arch=dict(_delete_=True, embed_dim=96, depth=4, num_heads=4, patch_size=8)),
    neck=dict(in_channels=[96, 96, 96, 96]),
    roi_head=dict(bbox_head=dict(num_classes=10), mask_head=dict(num_classes=10)))
