"""A project in another folder inherits our configs and runs them with the mmseg and mmdet scripts."""
import os
import subprocess
import sys
from pathlib import Path

import mmseg
import pytest
from detection import needs_mmdet
from mmengine.config import Config

from xcit_mm import config_dict, config_path
from xcit_mm.errors import InputError

OLD_STYLE = '''
_base_ = __import__('xcit_mm').config_path('xcit_{head}_digits.py')
model = dict(backbone=dict(drop_path_rate=0.3))
'''
PURE_PYTHON = '''
from torch.optim import SGD

globals().update(__import__('xcit_mm').config_dict('xcit_{head}_digits.py'))
model['backbone']['drop_path_rate'] = 0.3
optim_wrapper['optimizer'] = dict(type=SGD, lr=0.01, weight_decay=0.0)
'''


def write(folder, text, head='upernet'):
    path = folder / 'mine.py'
    path.write_text(text.format(head=head))
    return path


def run_script(package, folder, *arguments):
    script = Path(package.__file__).parent / '.mim/tools/train.py'
    return subprocess.run([sys.executable, str(script), *map(str, arguments)], cwd=folder, capture_output=True,
                          text=True, timeout=900, env={**os.environ, 'PYTHONPATH': ''})


def test_old_style_config_inherits(tmp_path):
    inherited = Config.fromfile(config_path('xcit_upernet_digits.py'))
    inherited.model.backbone.drop_path_rate = 0.3
    assert Config.fromfile(write(tmp_path, OLD_STYLE)).to_dict() == inherited.to_dict()


def test_pure_python_config_inherits(tmp_path):
    inherited = config_dict('xcit_upernet_digits.py')
    config = Config.fromfile(write(tmp_path, PURE_PYTHON))
    assert config.model.backbone.drop_path_rate == 0.3 and config.optim_wrapper.optimizer.type.__name__ == 'SGD'
    changed = {'model', 'optim_wrapper'}
    assert {key: value for key, value in config.to_dict().items() if key not in changed} == {
        key: value for key, value in inherited.items() if key not in changed}
    assert config.model.decode_head == inherited['model']['decode_head']


def test_config_path_finds_configs_of_other_packages():
    assert Path(config_path('_base_/datasets/ade20k.py', 'mmseg')).is_file()
    with pytest.raises(InputError, match='cannot find the config none.py: mmseg has no such file in '):
        config_path('none.py', 'mmseg')
    with pytest.raises(InputError, match='cannot find the config none.py: package nowhere is not installed'):
        config_path('none.py', 'nowhere')


@pytest.mark.slow
@pytest.mark.parametrize('text', [OLD_STYLE, PURE_PYTHON], ids=['old style', 'pure Python'])
def test_training_script_of_mmseg_runs(text, scenes, tmp_path):
    text += f'''
for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
    globals().setdefault(loader, dict(dataset=dict()))['dataset']['data_root'] = {str(scenes)!r}
del loader
train_dataloader['batch_size'] = 2
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
'''
    result = run_script(mmseg, tmp_path, write(tmp_path, text))
    assert result.returncode == 0, result.stderr
    assert 'mIoU' in result.stdout + result.stderr and (tmp_path / 'work_dirs/mine/iter_2.pth').exists()


@needs_mmdet
@pytest.mark.slow
def test_training_script_of_mmdet_runs(scenes, tmp_path):
    import mmdet
    options = [f'{loader}_dataloader.dataset.data_root={scenes}' for loader in ('train', 'val', 'test')]
    options += [f'{stage}_evaluator.ann_file={scenes}/annotations/instances_val.json' for stage in ('val', 'test')]
    options += ['model.test_cfg.rcnn.score_thr=0.0']  # so that a model trained for two steps detects something
    result = run_script(mmdet, tmp_path, write(tmp_path, OLD_STYLE, 'mask_rcnn'), '--cfg-options', *options,
                        'train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'train_dataloader.batch_size=4',
                        'default_hooks.checkpoint.interval=2')
    assert result.returncode == 0, result.stderr
    assert 'segm_mAP' in result.stdout + result.stderr and (tmp_path / 'work_dirs/mine/iter_2.pth').exists()
