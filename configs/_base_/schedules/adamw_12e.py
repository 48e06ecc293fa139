# Detection from random weights, on one machine.
_base_ = 'adamw_3x.py'
max_epochs = 12
optim_wrapper = dict(optimizer=dict(lr=1e-3), clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=True, begin=0, end=max_epochs, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=4)
# Two checkpoints are kept, for MMEngine deletes the oldest before it has written the newest.
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2), logger=dict(interval=20))
