# Mask R-CNN with XCiT-S12/16 on COCO, 8 GPUs x 2 images.
_base_ = [
    '_base_/models/mask_rcnn_xcit.py', '_base_/datasets/coco_instance.py', '_base_/schedules/adamw_3x.py',
    '_base_/detection_runtime.py'
]
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_small_12_p16_384_dist.pth')))
