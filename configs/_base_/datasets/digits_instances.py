_base_ = ['digits_folder.py', 'masked_instances.py']
metainfo = dict(
    classes=('0', '1', '2', '3', '4', '5', '6', '7', '8', '9'),
    palette=[[230, 25, 75], [60, 180, 75], [255, 225, 25], [0, 130, 200], [245, 130, 48],
             [145, 30, 180], [70, 240, 240], [240, 50, 230], [170, 110, 40], [128, 128, 255]])
train_dataloader = dict(dataset=dict(data_root=_base_.data_root, metainfo=metainfo))
val_dataloader = dict(dataset=dict(data_root=_base_.data_root, metainfo=metainfo))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=_base_.data_root + '/annotations/instances_val.json')
test_evaluator = val_evaluator
