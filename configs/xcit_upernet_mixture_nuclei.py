# Train on crops of 2.25 times the usual area, with separate statistics for each kind of content.
_base_ = 'xcit_upernet_nuclei.py'
crop_size = (384, 384)
model = dict(data_preprocessor=dict(size=crop_size), backbone=dict(statistics='mixture'))
train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=(480, 480))  # RandomResize, by the same factor as the crop
train_pipeline[3].update(crop_size=crop_size)  # RandomCrop
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
