_base_ = 'default_runtime.py'
default_scope = 'mmseg'
tta_model = dict(type='xcit_mm.inference.tta.BoundedTTAModel')
visualizer = dict(
    type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
