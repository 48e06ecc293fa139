"""The command-line tools report unusable input in one line, before any work begins."""
from pathlib import Path

import pytest
import torch
from messages import is_one_line
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
ADE20K, DIGITS = 'configs/xcit_upernet_ade20k.py', 'configs/xcit_upernet_digits.py'


def test_train_says_where_data_are_missing(run_tool, run_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = f'{tmp_path}/data/digits/images/'
    result = run_tool('train', ROOT / DIGITS, cwd=tmp_path)
    assert result.returncode == 1
    assert is_one_line(result.stderr, f'{folder}train', f'python {ROOT}/tools/prepare_dataset.py digits'), result
    said = run_here('test', ROOT / DIGITS, 'weights.pth')
    assert is_one_line(said, f'{folder}val', f'python {ROOT}/tools/prepare_dataset.py digits')
    said = run_here('train', ROOT / ADE20K)
    assert is_one_line(said, f'{tmp_path}/data/ade/ADEChallengeData2016/images/training', '/prepare_dataset.py ade20k')
    assert not (tmp_path / 'work_dirs').exists()


def test_missing_inputs_are_one_line(run_here, tmp_path, scenes, capsys):
    data = ['--cfg-options', f'data_root={scenes}']
    assert is_one_line(run_here('train', 'none.py'), 'no config file none.py')
    for arguments in (['test', DIGITS, 'none.pth'], ['train', DIGITS, '--resume', 'none.pth']):
        assert is_one_line(run_here(*arguments, *data), 'no checkpoint file none.pth')
    assert is_one_line(run_here('infer', DIGITS, 'none.pth', 'none.png', '--out', tmp_path), 'none.png')
    if not torch.cuda.is_available():
        assert is_one_line(run_here('train', DIGITS, '--amp', *data), 'cannot use --amp: torch did not find a GPU')
    assert is_one_line(run_here('plot_training', tmp_path, '--out', tmp_path / 'x.png'), str(tmp_path))
    assert capsys.readouterr().err == ''  # the one line itself is printed by the interpreter on exit


def test_options_that_do_not_fit_are_one_line(run_here, tmp_path):
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    arguments = ['infer', DIGITS, 'none.pth', tmp_path / 'a.png', '--out', tmp_path / 'out']
    for option in (['--boxes-only'], ['--min-score', '0.5']):
        assert 'only for detectors was given, but configs/xcit_upernet_digits.py is' in run_here(*arguments, *option)
    assert 'write it like 2GB' in run_here(*arguments, '--max-memory', 'much')
    arguments[-1] = tmp_path / 'a.png/out'
    assert 'cannot write to the folder' in run_here(*arguments)


@pytest.mark.parametrize('option, words', [
    ('model.backbone.drop_pth_rate=0.1', "XCiT has no argument 'drop_pth_rate'; did you mean 'drop_path_rate'?"),
    ('model.backbone.arch=small_12_p32', "unknown XCiT arch 'small_12_p32'; choose from"),
    ('model.backbone.frozen_stages=99', 'frozen_stages must be in -1 … 4, but got 99')])
def test_settings_that_cannot_be_are_one_line(run_here, tmp_path, scenes, option, words):
    said = run_here('train', DIGITS, '--work-dir', tmp_path, '--cfg-options', f'data_root={scenes}', option)
    assert is_one_line(said, words)


@pytest.mark.parametrize('option, words', [
    ('optim_wrapper.optimizer.lr=abc', "cannot use optim_wrapper.optimizer.lr='abc': TypeError"),
    ('optim_wrapper.type=AmpOptimWrapper',
     'cannot use optim_wrapper.type=AmpOptimWrapper: mixed precision needs a GPU'),
    ('train_dataloader.sampler.foo=1', 'cannot use train_dataloader.sampler.foo=1: TypeError'),
    ('train_dataloader.batch_size=four', "cannot use train_dataloader.batch_size='four': ValueError"),
    ('train_cfg.max_iters=many', "cannot use train_cfg.max_iters='many': ValueError"),
    ('log_level=FOO', "cannot use log_level='FOO'")])
def test_refused_settings_are_named(run_here, tmp_path, scenes, option, words):
    if 'Amp' in option and torch.cuda.is_available():
        pytest.skip('a GPU allows mixed precision')
    # MMEngine names a run after its start time in seconds. Another run with the same name would reuse the logger
    # without reading log_level.
    said = run_here('train', DIGITS, '--work-dir', tmp_path, '--cfg-options', f'data_root={scenes}',
                    f'experiment_name={tmp_path.name}', option)
    assert is_one_line(said, words)
