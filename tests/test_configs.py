"""Every config says what the code does: built, run, and compared with what the backbone emits."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from xcit_mm.datasets import digits

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
LEAVES = sorted(path for path in CONFIGS.rglob('*.py') if '_base_' not in path.parts)


@pytest.fixture(params=LEAVES, ids=lambda path: str(path.relative_to(CONFIGS)))
def config(request):
    return Config.fromfile(request.param)


def test_there_are_configs():
    assert CONFIGS / 'xcit_upernet_ade20k.py' in LEAVES


def test_builds_and_fits(config):
    init_default_scope(config.default_scope)
    with torch.device('meta'):
        model = MODELS.build(config.model)
    heads = [model.decode_head, model.auxiliary_head]
    assert list(model.decode_head.in_channels) == list(model.backbone.out_channels)
    assert heads[1].in_channels == model.backbone.out_channels[heads[1].in_index]
    num_classes = {head.num_classes for head in heads}
    meta = config.train_dataloader.dataset.get('metainfo')
    assert num_classes == {len(meta.classes) if meta else 150}
    if meta:
        assert len(meta.palette) == len(meta.classes)


def test_name_tells_data_and_head(config):
    stem = Path(config.filename).stem
    assert config.model.decode_head.type.lower().removesuffix('head') in stem.replace('upernet', 'uper')
    assert stem.split('_')[-1] in (config.data_root + config.train_dataloader.dataset.type).lower()


def test_schedule_ends_with_the_training(config):
    assert max(scheduler.end for scheduler in config.param_scheduler) == config.train_cfg.max_iters


def test_states_nothing_that_its_bases_say(config):
    source = {}
    exec(Path(config.filename).read_text(), source)
    merged = Config()
    for base in source['_base_']:
        merged.merge_from_dict(Config.fromfile(CONFIGS / base).to_dict())

    def repeated(child, base, path):
        for key, value in child.items():
            if isinstance(value, dict) and isinstance(base.get(key), dict):
                yield from repeated(value, base[key], f'{path}.{key}')
            elif key in base and base[key] == value and key != 'type':
                yield f'{path}.{key}'

    leaf = {key: value for key, value in source.items() if not key.startswith('__') and key != '_base_'}
    assert list(repeated(leaf, merged.to_dict(), '')) == []


def test_digits_config_names_the_classes_of_the_data():
    config = Config.fromfile(CONFIGS / 'xcit_upernet_digits.py')
    assert tuple(config.train_dataloader.dataset.metainfo.classes) == digits.CLASSES


def test_ade20k_recipe_is_the_published_one():
    config = Config.fromfile(CONFIGS / 'xcit_upernet_ade20k.py')
    assert config.model.backbone.arch == 'small_12_p16' and config.model.backbone.drop_path_rate == 0.05
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 6e-5, 0.01)
    assert config.train_dataloader.batch_size == 2 and config.train_cfg.max_iters == 160000
