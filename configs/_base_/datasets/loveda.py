# mmseg's LoveDA: 7 classes of land cover in aerial images of 1024 x 1024 px, crops of 512 px.
_base_ = __import__('xcit_mm').config_path('_base_/datasets/loveda.py', 'mmseg')
data_preparation = 'python {tools}/prepare_dataset.py loveda --root {data_root}'
train_dataloader = dict(batch_size=2)  # on each of 8 GPUs
