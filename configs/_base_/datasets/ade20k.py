# ADE20K as mmseg has it: 150 classes, 512 px crops; the validation images are resized to (2048, 512).
_base_ = __import__('xcit_mm').config_path('_base_/datasets/ade20k.py', 'mmseg')
data_preparation = (
    'curl -L -O http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip '
    '&& unzip -q ADEChallengeData2016.zip && mkdir -p {data_root} && mv ADEChallengeData2016/* {data_root}')
train_dataloader = dict(batch_size=2)  # on each of 8 GPUs
