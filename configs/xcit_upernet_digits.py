# A first training run, from scratch, that takes minutes on two CPU cores.
_base_ = [
    '_base_/models/upernet_xcit.py', '_base_/datasets/digits.py', '_base_/schedules/adamw_1k.py',
    '_base_/segmentation_runtime.py'
]
# Digits cover a tenth of each scene. Without class weights, training first settles into predicting only the background.
loss_decode = dict(class_weight=[0.2] + [1.0] * 10)
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(
        arch=dict(_delete_=True, embed_dim=96, depth=4, num_heads=4, patch_size=8), drop_path_rate=0.0),
    decode_head=dict(
        in_channels=[96, 96, 96, 96], channels=64, dropout_ratio=0.0, num_classes=11, loss_decode=loss_decode),
    auxiliary_head=dict(
        in_channels=96, channels=64, dropout_ratio=0.0, num_classes=11, loss_decode=loss_decode))
