# Nuclei as separate objects, from scratch on two CPU cores.
_base_ = [
    '_base_/models/mask_rcnn_xcit_narrow.py', '_base_/datasets/nuclei_instances.py',
    '_base_/schedules/adamw_1k_detection.py', '_base_/detection_runtime.py'
]
model = dict(
    backbone=dict(arch='nano_12_p8'),
    neck=dict(in_channels=[128, 128, 128, 128]),
    roi_head=dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1)))
