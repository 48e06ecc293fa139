# Settings of every run.
custom_imports = dict(imports=['xcit_mm'], allow_failed_imports=False)
runner_type = 'xcit_mm.training.StrictRunner'  # rejects weights that do not fit
# Batch norms are synchronised if, and only if, training is distributed.
sync_bn = 'torch'
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
log_level = 'INFO'
load_from = None
resume = False
