# Segmentation of nuclei in microscopy images, trained from scratch on two CPU cores.
_base_ = [
    '_base_/models/upernet_xcit.py', '_base_/datasets/nuclei.py', '_base_/schedules/adamw_1k.py',
    '_base_/segmentation_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=(256, 256)),
    backbone=dict(arch='nano_12_p8', drop_path_rate=0.0),
    decode_head=dict(in_channels=[128, 128, 128, 128], channels=64, num_classes=2),
    auxiliary_head=dict(in_channels=128, channels=64, num_classes=2))
