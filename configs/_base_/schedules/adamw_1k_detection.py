_base_ = 'adamw_1k.py'
optim_wrapper = dict(optimizer=dict(lr=5e-4))
default_hooks = dict(visualization=dict(type='DetVisualizationHook'))
