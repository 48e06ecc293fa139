"""The recipes match those published by the authors."""
from pathlib import Path

import pytest
from detection import needs_mmdet
from mmengine.config import Config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def test_ade20k_recipe_matches_the_published_one():
    config = Config.fromfile(CONFIGS / 'xcit_upernet_ade20k.py')
    backbone, head, auxiliary = (config.model[part] for part in ('backbone', 'decode_head', 'auxiliary_head'))
    assert (backbone.arch, backbone.drop_path_rate) == ('small_12_p16', 0.05)
    assert backbone.init_cfg == dict(
        type='Pretrained', checkpoint='https://dl.fbaipublicfiles.com/xcit/xcit_small_12_p16_384_dist.pth')
    assert (head.type, head.channels, head.dropout_ratio, head.pool_scales) == (
        'xcit_mm.heads.EfficientUPerHead', 512, 0.1, (1, 2, 3, 6))
    assert (auxiliary.type, auxiliary.channels, auxiliary.in_index) == ('FCNHead', 256, 2)
    assert (head.loss_decode.loss_weight, auxiliary.loss_decode.loss_weight) == (1.0, 0.4)
    assert config.optim_wrapper.optimizer == dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01)
    assert config.optim_wrapper.paramwise_cfg.custom_keys == dict(norm=dict(decay_mult=0.0))
    warm_up, decay = config.param_scheduler
    assert (warm_up.type, warm_up.start_factor, warm_up.begin, warm_up.end) == ('LinearLR', 1e-6, 0, 1500)
    assert (decay.type, decay.power, decay.eta_min, decay.begin) == ('PolyLR', 1.0, 0.0, 1500)
    assert config.train_dataloader.batch_size == 2 and config.train_cfg.max_iters == 160000
    # The published mode is 'whole'; 'auto' gives the same result but runs in bands if memory is low.
    assert config.sync_bn == 'torch' and config.model.test_cfg.mode == 'auto'
    scales = [step.scale for step in config.test_dataloader.dataset.pipeline if step.type == 'Resize']
    assert scales == [(2048, 512)]


@pytest.mark.parametrize('head, data, rates', [
    ('upernet', 'ade20k', (0.0, 0.05, 0.1, 0.15)), ('sem_fpn', 'ade20k', (0.0, 0.05, 0.1, 0.2)),
    pytest.param('mask_rcnn', 'coco', (0.0, 0.05, 0.1, 0.15), marks=needs_mmdet)])
def test_drop_path_matches_the_published_one(head, data, rates):
    for size, rate in zip(('tiny_12', 'small_12', 'small_24', 'medium_24'), rates):
        for patch in (16, 8):
            config = Config.fromfile(CONFIGS / head / f'xcit_{head}_{size}_p{patch}_{data}.py')
            assert config.model.backbone.drop_path_rate == rate


def test_semantic_fpn_recipe_matches_the_published_one():
    config = Config.fromfile(CONFIGS / 'xcit_sem_fpn_ade20k.py')
    neck, head = config.model.neck, config.model.decode_head
    assert (neck.type, neck.out_channels, neck.num_outs) == ('FPN', 384, 4)
    assert (head.type, head.channels, head.feature_strides) == ('FPNHead', 128, [4, 8, 16, 32])
    assert config.optim_wrapper == Config.fromfile(CONFIGS / 'xcit_upernet_ade20k.py').optim_wrapper
    assert config.train_cfg.max_iters == 80000 and config.train_dataloader.batch_size == 2


@needs_mmdet
def test_mask_rcnn_recipe_matches_the_published_one():
    config = Config.fromfile(CONFIGS / 'xcit_mask_rcnn_coco.py')
    assert config.optim_wrapper.optimizer == dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05)
    warm_up, steps = config.param_scheduler
    assert (warm_up.start_factor, warm_up.end, warm_up.by_epoch) == (1e-3, 500, False)
    assert (steps.milestones, steps.gamma, steps.by_epoch) == ([27, 33], 0.1, True)
    assert config.train_cfg.max_epochs == 36 and config.train_dataloader.batch_size == 2
    assert (config.model.neck.out_channels, config.model.neck.num_outs) == (256, 5)
    assert config.model.rpn_head.anchor_generator.scales == [8]
    _, _, flip, choice, _ = config.train_dataloader.dataset.pipeline
    scales = [(short, 1333) for short in range(480, 801, 32)]
    resized, cropped = choice.transforms
    assert flip.prob == 0.5 and resized == [dict(type='RandomChoiceResize', scales=scales, keep_ratio=True)]
    assert cropped[0].scales == [(400, 1333), (500, 1333), (600, 1333)] and cropped[2].scales == scales
    assert (cropped[1].crop_type, cropped[1].crop_size) == ('absolute_range', (384, 600))
    assert config.model.data_preprocessor.pad_size_divisor == 32
    scale, = [step.scale for step in config.test_dataloader.dataset.pipeline if step.type == 'Resize']
    assert scale == (1333, 800)
