from pathlib import Path

import pytest
from mmengine.config import Config

from xcit_mm.config import config_path, load_config, require_data
from xcit_mm.errors import InputError

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'


def data_roots(config):
    return {config[f'{split}_dataloader'].dataset.data_root for split in ('train', 'val', 'test')}


def test_data_root_option_moves_every_path():
    config = load_config(CONFIGS / 'xcit_upernet_nuclei.py', dict(data_root='/elsewhere/'))
    assert data_roots(config) == {'/elsewhere'}


def test_data_root_option_moves_annotation_files(tmp_path):
    (tmp_path / 'detector.py').write_text(
        "data_root = 'data/coco'\n"
        "val_evaluator = dict(ann_file='data/coco/annotations/val.json', other='data/cocoa/x')\n")
    config = load_config(tmp_path / 'detector.py', dict(data_root='/c'))
    assert config.val_evaluator == dict(ann_file='/c/annotations/val.json', other='data/cocoa/x')


@pytest.mark.parametrize('text', ["train_dataloader = dict(dataset=dict(data_root='/a'))\n",
                                  "data_root = '/b'\ntrain_dataloader = dict(dataset=dict(data_root='/a'))\n"])
def test_data_root_option_without_effect_is_refused(tmp_path, text):
    (tmp_path / 'mine.py').write_text(text)
    with pytest.raises(InputError, match='cannot apply data_root=/c: no path in .*mine.py starts with'):
        load_config(tmp_path / 'mine.py', dict(data_root='/c'))


def test_explicit_path_overrides_the_data_root_option():
    config = load_config(CONFIGS / 'xcit_upernet_digits.py', {
        'data_root': '/elsewhere', 'train_dataloader.dataset.data_root': 'data/digits'})
    assert config.train_dataloader.dataset.data_root == 'data/digits'
    assert config.val_dataloader.dataset.data_root == '/elsewhere'


@pytest.mark.parametrize('name, content, words', [
    ('a.py', 'model = dict(', 'SyntaxError|syntax'),
    ('a.py', "_base_ = 'none.py'", 'none.py'),
    ('a.py', 'model = nothing', 'nothing'),
    ('a.txt', 'model = 1', 'py/yml/yaml/json'),
])
def test_error_names_an_unreadable_config(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f'cannot read the config .*/{name}: .*({words})'):
        load_config(tmp_path / name)


def test_environment_variable_sets_the_root_of_nuclei(monkeypatch):
    monkeypatch.setenv('XCIT_MM_NUCLEI_ROOT', '/from/environment')
    assert data_roots(load_config(CONFIGS / 'xcit_upernet_nuclei.py')) == {'/from/environment'}


def test_project_inherits_our_configs(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = __import__('xcit_mm').config_path('xcit_upernet_digits.py')\n"
                                      "model = dict(backbone=dict(drop_path_rate=0.3))\n")
    inherited = Config.fromfile(CONFIGS / 'xcit_upernet_digits.py')
    inherited.model.backbone.drop_path_rate = 0.3
    assert Config.fromfile(tmp_path / 'mine.py').to_dict() == inherited.to_dict()
    with pytest.raises(InputError, match='cannot find the config none.py: xcit_mm has no such file'):
        config_path('none.py')


def test_work_dir_is_named_after_the_config():
    assert load_config(CONFIGS / 'xcit_upernet_digits.py').work_dir == 'work_dirs/xcit_upernet_digits'
    assert load_config(CONFIGS / 'xcit_upernet_digits.py', work_dir='here').work_dir == 'here'


@pytest.mark.parametrize('wrap', [
    lambda data: data,
    lambda data: dict(type='RepeatDataset', dataset=data, times=2),
    lambda data: dict(type='ConcatDataset', datasets=[data]),
])
def test_error_names_missing_data_and_the_command(tmp_path, wrap):
    data = dict(type='Any', data_root=str(tmp_path), data_prefix=dict(img='images'), ann_file='instances.json')
    config = Config(dict(train_dataloader=dict(dataset=wrap(data)), data_preparation='make data'))
    with pytest.raises(InputError, match=f'cannot find train data: {tmp_path}/images does not exist; run make data or'):
        require_data(config, ('train', ))
    (tmp_path / 'images').mkdir()
    with pytest.raises(InputError, match='instances.json'):
        require_data(config, ('train', ))
    (tmp_path / 'instances.json').touch()
    require_data(config, ('train', 'val'))


@pytest.mark.parametrize('data', [
    dict(data_root='s3://bucket/digits', data_prefix=dict(img='images')),
    dict(data_root='', ann_file='https://example.org/instances.json')])
def test_remote_data_are_not_checked(data):
    require_data(Config(dict(train_dataloader=dict(dataset=data))), ('train', ))


def test_data_prefix_may_be_a_string(tmp_path):
    config = Config(dict(train_dataloader=dict(dataset=dict(data_root=str(tmp_path), data_prefix='images'))))
    with pytest.raises(InputError, match=f'{tmp_path}/images'):
        require_data(config, ('train', ))


@pytest.mark.parametrize('name', ['digits', 'ade20k'])
def test_command_prepares_the_requested_data_root(tmp_path, name):
    config = load_config(CONFIGS / f'xcit_upernet_{name}.py', dict(data_root=f'{tmp_path}/data'))
    with pytest.raises(InputError, match=f'; run .* {tmp_path}/data or'):
        require_data(config, ('train', ))


def test_error_names_a_misspelt_setting(tmp_path):
    (tmp_path / 'a.py').write_text('optim_wrapper = dict(lr=1)')
    with pytest.raises(InputError, match="no setting 'optim_wraper'; did you mean 'optim_wrapper'?"):
        load_config(tmp_path / 'a.py', {'optim_wraper.lr': 2})
    assert load_config(tmp_path / 'a.py', {'load_from': 'x.pth'}).load_from == 'x.pth'


@pytest.mark.parametrize('option', ['model.pretrained', 'model.backbone.pretrained'])
def test_error_about_pretrained_names_init_cfg(option):
    with pytest.raises(InputError, match=f'{option}, which .* model.backbone.init_cfg.checkpoint=') as error:
        load_config(CONFIGS / 'xcit_upernet_digits.py', {option: 'https://example.com/xcit.pth'})
    assert '\n' not in str(error.value)


def test_pretrained_is_left_to_other_backbones_and_may_be_none(tmp_path):
    (tmp_path / 'a.py').write_text("model = dict(pretrained='a.pth', backbone=dict(type='ResNet'))")
    assert load_config(tmp_path / 'a.py').model.pretrained == 'a.pth'
    assert load_config(CONFIGS / 'xcit_upernet_digits.py', {'model.pretrained': None}).model.pretrained is None
