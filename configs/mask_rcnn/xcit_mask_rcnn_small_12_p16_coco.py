_base_ = '../xcit_mask_rcnn_coco.py'
