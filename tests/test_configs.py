"""Every config says what the code does: built, run, and compared with what the backbone emits."""
from pathlib import Path

import mmseg
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmseg.registry import DATASETS

from xcit_mm import XCiT
from xcit_mm.datasets import digits
from xcit_mm.variants import ARCHITECTURES

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
ALL = sorted(CONFIGS.rglob('*.py'))
LEAVES = [path for path in ALL if '_base_' not in path.parts]


def read(path):
    """What a config file itself says, and the files of its bases."""
    said = {}
    exec(path.read_text(), said)
    bases = said.pop('_base_', [])
    bases = [path.parent / base for base in ([bases] if isinstance(bases, str) else bases)]
    return {key: value for key, value in said.items() if not key.startswith('__')}, bases


def name(path):
    return str(path.relative_to(CONFIGS))


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv('XCIT_MM_NUCLEI_ROOT', raising=False)


@pytest.fixture(params=LEAVES, ids=name)
def config(request):
    return Config.fromfile(request.param)


def test_there_are_configs():
    assert CONFIGS / 'xcit_upernet_ade20k.py' in LEAVES


def test_builds_runs_and_fits(config):
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model).eval()
    backbone, heads = model.backbone, [model.decode_head, model.auxiliary_head]
    assert list(heads[0].in_channels) == list(backbone.out_channels)
    assert heads[1].in_channels == backbone.out_channels[heads[1].in_index]
    assert {head.num_classes for head in heads} == {len(classes_of(config))}
    with torch.no_grad():
        levels = backbone(torch.zeros(1, 3, 64, 64))
        assert tuple(64 // level.shape[-1] for level in levels) == backbone.out_strides
        assert tuple(getattr(heads[0], 'feature_strides', backbone.out_strides)) == backbone.out_strides
        assert heads[0](levels).shape == (1, heads[0].num_classes, *levels[0].shape[2:])


def classes_of(config):
    data = config.train_dataloader.dataset
    meta = {**DATASETS.get(data.type).METAINFO, **data.get('metainfo', {})}
    assert len(meta['palette']) == len(meta['classes'])
    return meta['classes']


def test_name_tells_head_data_and_arch(config):
    path = Path(config.filename)
    assert config.model.decode_head.type.lower().removesuffix('head') in path.stem.replace('upernet', 'uper')
    assert set(datasets_of(path)) == {path.stem.split('_')[-1]}
    arch = config.model.backbone.arch
    assert [named for named in ARCHITECTURES if named in path.stem] in ([], [arch])


def datasets_of(path):
    for base in read(path)[1]:
        if base.parent.name == 'datasets':
            yield base.stem
        else:
            yield from datasets_of(base)


def test_training_images_have_the_size_of_a_batch(config):
    crops = [step.crop_size for step in config.train_dataloader.dataset.pipeline if step.type == 'RandomCrop']
    size, = crops or [(digits.SCENE_SIZE, digits.SCENE_SIZE)]
    assert tuple(config.model.data_preprocessor.size) == tuple(size)


def test_schedule_ends_with_the_training(config):
    assert max(scheduler.end for scheduler in config.param_scheduler) == config.train_cfg.max_iters


def test_a_checkpoint_remains_while_the_next_one_is_written(config):
    # MMEngine deletes the oldest one first: with one, a training killed at that moment could not go on.
    assert config.default_hooks.checkpoint.get('max_keep_ckpts', -1) != 1


@pytest.mark.parametrize('path', [path for path in ALL if read(path)[1]], ids=name)
def test_states_nothing_that_its_bases_say(path):
    said, bases = read(path)
    merged = Config()
    for base in bases:
        merged.merge_from_dict(Config.fromfile(base).to_dict())

    def repeated(child, base, path):
        for key, value in child.items():
            if isinstance(value, dict) and isinstance(base.get(key), dict):
                yield from repeated(value, base[key], f'{path}.{key}')
            elif key in base and base[key] == value and key != 'type':
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
    assert (head.type, head.channels, head.dropout_ratio, head.pool_scales) == ('UPerHead', 512, 0.1, (1, 2, 3, 6))
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
