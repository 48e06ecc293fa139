# mmseg's ADE20K: 150 classes, crops of 512 px, validation images resized to (2048, 512).
_base_ = __import__('xcit_mm').config_path('_base_/datasets/ade20k.py', 'mmseg')
data_preparation = 'python {tools}/prepare_dataset.py ade20k --root {data_root}'
train_dataloader = dict(batch_size=2)  # on each of 8 GPUs
