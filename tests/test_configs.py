"""Every config says what the code does: built, run, and compared with what the backbone emits."""
import ast
import re
from pathlib import Path

import mmseg
import pytest
import torch
from detection import needs_mmdet
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope
from torch._subclasses import FakeTensorMode

from xcit_mm import XCiT
from xcit_mm.datasets import digits
from xcit_mm.variants import ARCHITECTURES

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
ALL = sorted(CONFIGS.rglob('*.py'))
LEAVES = [path for path in ALL if '_base_' not in path.parts]
RECIPES = {'upernet': 'ade20k', 'sem_fpn': 'ade20k', 'mask_rcnn': 'coco'}  # head: data


def read(path):
    """What a config file itself says, and the files of its bases."""
    lines = ast.parse(path.read_text()).body
    base_line = next((line for line in lines if ast.unparse(line).startswith('_base_ =')), None)
    bases = eval(ast.unparse(base_line.value)) if base_line else []
    bases = [path.parent / base for base in ([bases] if isinstance(bases, str) else bases)]
    said = dict(_base_=merge(bases))
    exec(ast.unparse([line for line in lines if line is not base_line]), said)
    return {key: value for key, value in said.items() if not key.startswith('_')}, bases


def merge(paths):
    merged = Config()
    for path in paths:
        merged.merge_from_dict(Config.fromfile(path).to_dict())
    return merged


def name(path):
    return str(path.relative_to(CONFIGS))


def of_mmdet(paths, slow=False):
    """Parameters of a test, those that need mmdet skipped where it is not; with ``slow``, the zoo's siblings are."""
    def marks(path):
        if re.search('mask_rcnn|coco', name(path)):
            yield needs_mmdet
        if slow and path.parent != CONFIGS:
            yield pytest.mark.slow

    return [pytest.param(path, id=name(path), marks=list(marks(path))) for path in paths]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv('XCIT_MM_NUCLEI_ROOT', raising=False)


@pytest.fixture(params=of_mmdet(LEAVES))
def config(request):
    return Config.fromfile(request.param)


def test_every_architecture_has_each_recipe():
    stems = {path.stem for path in LEAVES}
    assert {f'xcit_{head}_{arch}_{data}' for head, data in RECIPES.items() for arch in ARCHITECTURES} <= stems
    assert {f'xcit_{head}_{data}' for head, data in RECIPES.items()} <= stems


@pytest.mark.parametrize('path', of_mmdet(LEAVES, slow=True))
def test_builds_runs_and_fits(path):
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    with torch.device('meta'):
        model = MODELS.build(config.model).eval()
    with FakeTensorMode(allow_non_fake_inputs=True):  # shapes without numbers: the largest models in no time
        model.to_empty(device='cpu')
        levels = model.backbone(torch.zeros(2, 3, 64, 64))
        assert tuple(64 // level.shape[-1] for level in levels) == model.backbone.out_strides
        assert tuple(level.shape[1] for level in levels) == model.backbone.out_channels
        if model.with_neck:
            assert tuple(model.neck.in_channels) == model.backbone.out_channels
            levels = model.neck(levels)
        fits = check_detector if config.default_scope == 'mmdet' else check_segmentor
        fits(model, levels)
    assert num_classes(model) == {len(classes_of(config))}


def check_segmentor(model, levels):
    head, num_levels = model.decode_head, len(model.decode_head.in_channels)
    assert list(head.in_channels) == [level.shape[1] for level in levels]
    assert tuple(getattr(head, 'feature_strides', model.backbone.out_strides)) == model.backbone.out_strides
    assert num_levels == 4 and head(levels).shape == (2, head.num_classes, *levels[0].shape[2:])
    if model.with_auxiliary_head:
        head = model.auxiliary_head
        assert head(levels).shape == (2, head.num_classes, *levels[head.in_index].shape[2:])


def check_detector(model, levels):
    strides = model.backbone.out_strides
    generator = model.rpn_head.prior_generator
    assert [stride for stride, _ in generator.strides] == [*strides, 2 * strides[-1]] and len(levels) == 5
    scores, boxes = model.rpn_head(levels)
    assert [score.shape[1] for score in scores] == generator.num_base_priors
    for part in ('bbox', 'mask'):
        extractor = getattr(model.roi_head, f'{part}_roi_extractor')
        assert tuple(extractor.featmap_strides) == strides and extractor.out_channels == levels[0].shape[1]
    regions = torch.zeros(3, levels[0].shape[1], 7, 7)
    assert model.roi_head.bbox_head(regions)[0].shape == (3, model.roi_head.bbox_head.num_classes + 1)
    masks = model.roi_head.mask_head(torch.zeros(3, levels[0].shape[1], 14, 14))
    assert masks.shape == (3, model.roi_head.mask_head.num_classes, 28, 28)


def num_classes(model):
    return {module.num_classes for name, module in model.named_modules()
            if name in ('decode_head', 'auxiliary_head', 'roi_head.bbox_head', 'roi_head.mask_head')}


def classes_of(config):
    data = config.train_dataloader.dataset
    with DATASETS.switch_scope_and_registry(config.default_scope) as registry:
        meta = {**registry.get(data.type).METAINFO, **data.get('metainfo', {})}
    assert len(meta['palette']) == len(meta['classes'])
    return meta['classes']


def test_name_tells_head_data_and_arch(config):
    path = Path(config.filename)
    decode_head = config.model.get('decode_head', {}).get('type')
    head = {'xcit_mm.heads.EfficientUPerHead': 'upernet', 'FPNHead': 'sem_fpn', None: 'mask_rcnn'}[decode_head]
    assert path.stem.startswith(f'xcit_{head}_') and path.parent.name in (head, 'configs')
    assert datasets_of(path) == {path.stem.split('_')[-1]}
    arch = config.model.backbone.arch
    assert [named for named in ARCHITECTURES if f'_{named}_' in path.stem] in ([], [arch])
    weights = config.model.backbone.get('init_cfg', {}).get('checkpoint')
    assert weights in (None, f'https://dl.fbaipublicfiles.com/xcit/xcit_{arch}_384_dist.pth')


def datasets_of(path):
    names = set()
    for base in read(path)[1]:
        names |= {base.stem.split('_')[0]} if base.parent.name == 'datasets' else datasets_of(base)
    return names


def test_training_images_have_the_size_of_a_batch(config):
    if config.default_scope == 'mmdet':  # pads each batch to its largest image
        return
    crops = [step.crop_size for step in config.train_dataloader.dataset.pipeline if step.type == 'RandomCrop']
    size, = crops or [(digits.SCENE_SIZE, digits.SCENE_SIZE)]
    assert tuple(config.model.data_preprocessor.size) == tuple(size)


def test_schedule_ends_with_the_training(config):
    by_epoch = config.train_cfg.type == 'EpochBasedTrainLoop'
    end = max(scheduler.end for scheduler in config.param_scheduler if scheduler.by_epoch == by_epoch)
    assert end == config.train_cfg['max_epochs' if by_epoch else 'max_iters']


def test_a_checkpoint_remains_while_the_next_one_is_written(config):
    # MMEngine deletes the oldest one first: with one, a training killed at that moment could not go on.
    assert config.default_hooks.checkpoint.get('max_keep_ckpts', -1) != 1


@pytest.mark.parametrize('path', of_mmdet(ALL))
def test_states_nothing_that_its_bases_say(path):
    said, bases = read(path)
    merged = merge(bases)

    def repeated(child, base, path):
        for key, value in child.items():
            if isinstance(value, dict) and isinstance(base.get(key), dict):
                yield from repeated(value, base[key], f'{path}.{key}')
            elif key in base and base[key] == value and '_delete_' not in child:
                yield f'{path}.{key}'

    assert list(repeated(said, merged.to_dict(), '')) == []


def test_digits_config_names_the_classes_of_the_data():
    config = Config.fromfile(CONFIGS / 'xcit_upernet_digits.py')
    assert tuple(config.train_dataloader.dataset.metainfo.classes) == digits.CLASSES


def test_ade20k_recipe_is_the_published_one():
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
    assert config.sync_bn == 'torch' and config.model.test_cfg.mode == 'whole'
    scales = [step.scale for step in config.test_dataloader.dataset.pipeline if step.type == 'Resize']
    assert scales == [(2048, 512)]


@pytest.mark.parametrize('head, rates', [
    ('upernet', (0.0, 0.05, 0.1, 0.15)), ('sem_fpn', (0.0, 0.05, 0.1, 0.2)),
    pytest.param('mask_rcnn', (0.0, 0.05, 0.1, 0.15), marks=needs_mmdet)])
def test_drop_path_is_the_published_one(head, rates):
    for size, rate in zip(('tiny_12', 'small_12', 'small_24', 'medium_24'), rates):
        for patch in (16, 8):
            config = Config.fromfile(CONFIGS / head / f'xcit_{head}_{size}_p{patch}_{RECIPES[head]}.py')
            assert config.model.backbone.drop_path_rate == rate


def test_semantic_fpn_recipe_is_the_published_one():
    config = Config.fromfile(CONFIGS / 'xcit_sem_fpn_ade20k.py')
    neck, head = config.model.neck, config.model.decode_head
    assert (neck.type, neck.out_channels, neck.num_outs) == ('FPN', 384, 4)
    assert (head.type, head.channels, head.feature_strides) == ('FPNHead', 128, [4, 8, 16, 32])
    assert config.optim_wrapper == Config.fromfile(CONFIGS / 'xcit_upernet_ade20k.py').optim_wrapper
    assert config.train_cfg.max_iters == 80000 and config.train_dataloader.batch_size == 2


@needs_mmdet
def test_mask_rcnn_recipe_is_the_published_one():
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


@pytest.mark.parametrize('base', ['upernet_swin', 'upernet_r50', 'upernet_convnext'])
def test_the_snippet_of_the_readme_fits_the_bases_of_mmseg(base, tmp_path):
    snippet = (CONFIGS.parent / 'README.md').read_text().split('```python\n')[1].split('```')[0]
    path = Path(mmseg.__file__).parent / f'.mim/configs/_base_/models/{base}.py'
    (tmp_path / 'child.py').write_text(f'_base_ = {str(path)!r}\n{snippet}')
    config = Config.fromfile(tmp_path / 'child.py')
    init_default_scope('mmseg')
    model = MODELS.build(config.model | dict(data_preprocessor=None)).eval()
    assert type(model.backbone) is XCiT and model.backbone.init_cfg['type'] == 'Pretrained'
    with torch.no_grad():
        levels = model.backbone(torch.zeros(1, 3, 64, 64))
        assert model.decode_head(levels).shape[2:] == levels[0].shape[2:]
        assert model.auxiliary_head(levels).shape[2:] == levels[model.auxiliary_head.in_index].shape[2:]
