# Segmentation of rasters with any number of bands, trained from scratch on random windows. Inherit it and set
# train_pairs, val_pairs, classes and bands; see docs/raster_training.md.
_base_ = [
    '_base_/models/upernet_xcit.py', '_base_/datasets/raster.py', '_base_/schedules/adamw_1k.py',
    '_base_/segmentation_runtime.py'
]
model = dict(
    data_preprocessor=dict(
        type='xcit_mm.inference.preprocessor.BandPreProcessor', bgr_to_rgb=False, size=_base_.window),
    backbone=dict(arch='nano_12_p8', drop_path_rate=0.0),
    decode_head=dict(in_channels=[128, 128, 128, 128], channels=64, num_classes=2),
    auxiliary_head=dict(in_channels=128, channels=64, num_classes=2))
