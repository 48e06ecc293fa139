# `mmseg::` bases would save lines here and in datasets/ade20k.py, but MMEngine 0.10.12 of the OneDL
# line looks for them under a package name of the other line and fails.
default_scope = 'mmseg'
custom_imports = dict(imports=['xcit_mm'], allow_failed_imports=False)
# Batch norms become synchronised when, and only when, the training is distributed.
sync_bn = 'torch'
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
visualizer = dict(
    type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
