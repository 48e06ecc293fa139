# mmseg's Cityscapes: 19 classes, images of 2048 x 1024 px, crops of 1024 px.
_base_ = __import__('xcit_mm').config_path('_base_/datasets/cityscapes_1024x1024.py', 'mmseg')
data_preparation = 'python {tools}/prepare_dataset.py cityscapes --root {data_root}'
