# Masks contain 0 and 1.
_base_ = ['nuclei_folder.py', 'masked_images.py']
metainfo = dict(classes=('background', 'nucleus'), palette=[[0, 0, 0], [255, 225, 25]])
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(320, 320), ratio_range=(0.8, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(256, 256)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=4, dataset=dict(data_root=_base_.data_root, metainfo=metainfo, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=_base_.data_root, metainfo=metainfo))
test_dataloader = val_dataloader
