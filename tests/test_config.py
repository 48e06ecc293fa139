from pathlib import Path

import pytest
from mmengine.config import Config

from xcit_mm.config import load_config, require_data
from xcit_mm.errors import InputError

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'


def data_roots(config):
    return {config[f'{split}_dataloader'].dataset.data_root for split in ('train', 'val', 'test')}


def test_data_root_option_moves_every_path():
    config = load_config(CONFIGS / 'xcit_upernet_nuclei.py', dict(data_root='/elsewhere/'))
    assert data_roots(config) == {'/elsewhere'}


def test_data_root_option_moves_annotation_files_too(tmp_path):
    (tmp_path / 'detector.py').write_text(
        "data_root = 'data/coco'\n"
        "val_evaluator = dict(ann_file='data/coco/annotations/val.json', other='data/cocoa/x')\n")
    config = load_config(tmp_path / 'detector.py', dict(data_root='/c'))
    assert config.val_evaluator == dict(ann_file='/c/annotations/val.json', other='data/cocoa/x')


def test_environment_variable_moves_the_nuclei(monkeypatch):
    monkeypatch.setenv('XCIT_MM_NUCLEI_ROOT', '/from/environment')
    assert data_roots(load_config(CONFIGS / 'xcit_upernet_nuclei.py')) == {'/from/environment'}


def test_work_dir_is_named_after_the_config():
    assert load_config(CONFIGS / 'xcit_upernet_digits.py').work_dir == 'work_dirs/xcit_upernet_digits'
    assert load_config(CONFIGS / 'xcit_upernet_digits.py', work_dir='here').work_dir == 'here'


@pytest.mark.parametrize('wrap', [
    lambda data: data,
    lambda data: dict(type='RepeatDataset', dataset=data, times=2),
    lambda data: dict(type='ConcatDataset', datasets=[data]),
])
def test_missing_data_are_named_with_the_command(tmp_path, wrap):
    data = dict(type='Any', data_root=str(tmp_path), data_prefix=dict(img='images'), ann_file='instances.json')
    config = Config(dict(train_dataloader=dict(dataset=wrap(data)), data_preparation='make data'))
    with pytest.raises(InputError, match=f'no train data in {tmp_path}/images; .*make data'):
        require_data(config, ('train', ))
    (tmp_path / 'images').mkdir()
    with pytest.raises(InputError, match='instances.json'):
        require_data(config, ('train', ))
    (tmp_path / 'instances.json').touch()
    require_data(config, ('train', 'val'))
