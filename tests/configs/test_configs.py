"""Every config builds a model that runs and whose other parts match the backbone."""
import ast
import re
from contextlib import nullcontext
from pathlib import Path

import mmseg
import pytest
import torch
from config_files import ALL, CONFIGS, LEAVES, as_parameters, name
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope
from torch._subclasses import FakeTensorMode

from xcit_mm import XCiT
from xcit_mm.datasets import digits
from xcit_mm.variants import ARCHITECTURES

RECIPES = {'upernet': 'ade20k', 'sem_fpn': 'ade20k', 'mask_rcnn': 'coco'}  # head: data set


def read(path):
    """Return the settings in the config file itself, and the paths of its base configs."""
    lines = ast.parse(path.read_text()).body
    base_line = next((line for line in lines if ast.unparse(line).startswith('_base_ =')), None)
    bases = eval(ast.unparse(base_line.value)) if base_line else []
    bases = [path.parent / base for base in ([bases] if isinstance(bases, str) else bases)]
    own = dict(_base_=merge(bases))
    exec(ast.unparse([line for line in lines if line is not base_line]), own)
    return {key: value for key, value in own.items() if not key.startswith('_')}, bases


def merge(paths):
    merged = Config()
    for path in paths:
        merged.merge_from_dict(Config.fromfile(path).to_dict())
    return merged


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv('XCIT_MM_NUCLEI_ROOT', raising=False)


@pytest.fixture(params=as_parameters(LEAVES))
def config(request):
    return Config.fromfile(request.param)


def test_every_architecture_has_every_recipe():
    stems = {path.stem for path in LEAVES}
    assert {f'xcit_{head}_{arch}_{data}' for head, data in RECIPES.items() for arch in ARCHITECTURES} <= stems
    assert {f'xcit_{head}_{data}' for head, data in RECIPES.items()} <= stems


@pytest.mark.parametrize('path', as_parameters(LEAVES, slow=True))
def test_config_builds_runs_and_matches_the_backbone(path):
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    with torch.device('meta'):
        model = MODELS.build(config.model).eval()
    # Fake tensors have only shapes, so that the largest models run quickly; but a mixture depends on values.
    with nullcontext() if model.backbone.statistics else FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device='cpu')
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data.fill_(0.02)
        levels = model.backbone(torch.zeros(2, 3, 64, 64))
        assert tuple(64 // level.shape[-1] for level in levels) == model.backbone.out_strides
        assert tuple(level.shape[1] for level in levels) == model.backbone.out_channels
        if model.with_neck:
            assert tuple(model.neck.in_channels) == model.backbone.out_channels
            levels = model.neck(levels)
        check = check_detector if config.default_scope == 'mmdet' else check_segmentor
        check(model, levels)
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


def test_file_name_gives_head_data_and_arch(config):
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
    if config.default_scope == 'mmdet':  # mmdet pads each batch to its largest image
        return
    data = config.train_dataloader.dataset
    crops = [step.crop_size for step in data.pipeline if step.type == 'RandomCrop']
    crops += [data.window] if 'window' in data else []
    size, = crops or [(digits.SCENE_SIZE, digits.SCENE_SIZE)]
    assert tuple(config.model.data_preprocessor.size) == tuple(size)


def test_schedule_ends_with_training(config):
    by_epoch = config.train_cfg.type == 'EpochBasedTrainLoop'
    end = max(scheduler.end for scheduler in config.param_scheduler if scheduler.by_epoch == by_epoch)
    assert end == config.train_cfg['max_epochs' if by_epoch else 'max_iters']


def test_checkpoint_remains_while_the_next_one_is_written(config):
    # MMEngine deletes the oldest checkpoint before it saves a new one. If only one were kept, a run killed at that
    # moment could not resume.
    assert config.default_hooks.checkpoint.get('max_keep_ckpts', -1) != 1


@pytest.mark.parametrize('path', as_parameters(ALL))
def test_config_repeats_nothing_from_its_bases(path):
    own, bases = read(path)
    merged = merge(bases)

    def repeated(child, base, path):
        for key, value in child.items():
            if isinstance(value, dict) and isinstance(base.get(key), dict):
                yield from repeated(value, base[key], f'{path}.{key}')
            elif key in base and base[key] == value and '_delete_' not in child:
                yield f'{path}.{key}'

    assert list(repeated(own, merged.to_dict(), '')) == []


def test_digits_config_names_the_classes_of_the_data():
    config = Config.fromfile(CONFIGS / 'xcit_upernet_digits.py')
    assert tuple(config.train_dataloader.dataset.metainfo.classes) == digits.CLASSES


@pytest.mark.parametrize('base', ['upernet_swin', 'upernet_r50', 'upernet_convnext'])
def test_readme_snippet_fits_the_base_configs_of_mmseg(base, tmp_path):
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
