# Train on crops of 2.25 times the usual area, with separate statistics for each kind of content.
_base_ = 'xcit_upernet_nuclei.py'
crop_size = (384, 384)
model = dict(data_preprocessor=dict(size=crop_size), backbone=dict(statistics='mixture'))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(480, 480), ratio_range=(0.8, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
