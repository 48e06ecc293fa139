# Rasters, each with a raster or polygons of labels: random windows for training, whole rasters for evaluation. See
# docs/raster_training.md.
_base_ = 'small_runs.py'
window = (256, 256)
mean = [123.675, 116.28, 103.53]  # ImageNet's, for 8-bit red, green and blue
metainfo = dict(classes=('background', 'object'), palette=[[0, 0, 0], [255, 225, 25]])
train_pipeline = [
    dict(type='xcit_mm.training.rasters.LoadRasterWindow'),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='xcit_mm.training.rasters.LoadRasterLabels'),  # the segmentor itself reads the pixels, by rows
    dict(type='PackSegInputs', meta_keys=('img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'bands')),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    dataset=dict(
        type='xcit_mm.training.rasters.RasterDataset',
        pairs=[],
        metainfo=metainfo,
        mean=mean,
        window=window,
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        type='xcit_mm.training.rasters.RasterDataset',
        pairs=[],
        metainfo=metainfo,
        mean=mean,
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
