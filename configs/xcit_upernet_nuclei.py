# Nucleus against background in microscopy, from scratch on two CPU cores.
_base_ = [
    '_base_/models/upernet_xcit.py', '_base_/datasets/nuclei.py', '_base_/schedules/adamw_160k.py',
    '_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=(256, 256)),
    backbone=dict(arch='nano_12_p8', drop_path_rate=0.0),
    decode_head=dict(in_channels=[128, 128, 128, 128], channels=64, num_classes=2),
    auxiliary_head=dict(in_channels=128, channels=64, num_classes=2))
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=0.05), clip_grad=dict(max_norm=1.0))
max_iters = 300
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=50, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=100, max_keep_ckpts=1), logger=dict(interval=20))
