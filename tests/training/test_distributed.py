"""Two processes reach the same weights as one with twice the batch size, and stop together."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import psutil
import pytest
import torch

from xcit_mm.apis import init_model
from xcit_mm.command_line import runner_config, runner_parser

pytestmark = pytest.mark.xdist_group('distributed')  # the tests share training runs
ROOT = Path(__file__).resolve().parents[2]
# Replace what depends on the whole batch and so would differ between processes: batch norms, and the class weights by
# which mmseg averages its losses.
CHANGES = ['model.backbone.arch.embed_dim=16', 'model.backbone.norm_cfg.type=IN', 'model.backbone.norm_cfg.affine=True',
           'model.decode_head.in_channels=[16,16,16,16]', 'model.decode_head.channels=16',
           'model.decode_head.norm_cfg.type=GN', 'model.decode_head.norm_cfg.num_groups=4',
           'model.auxiliary_head.in_channels=16', 'model.auxiliary_head.norm_cfg.type=GN',
           'model.auxiliary_head.norm_cfg.num_groups=4', 'model.decode_head.loss_decode.class_weight=None',
           'model.auxiliary_head.loss_decode.class_weight=None', 'randomness.seed=0', 'train_cfg.val_interval=1000',
           'default_hooks.checkpoint.interval=2', 'default_hooks.logger.interval=1', 'train_dataloader.num_workers=0',
           'train_dataloader.persistent_workers=False', 'val_dataloader.num_workers=0',
           'val_dataloader.persistent_workers=False']

SHARDED = """_base_ = [__import__('xcit_mm').config_path(name) for name in (
    'xcit_upernet_digits.py', '_base_/strategies/fsdp.py')]
"""


@pytest.fixture(scope='module')
def command(tmp_path_factory, scenes):
    """Return a function that builds training commands for one or two processes, with four images per batch in total.

    All runs load the same initial weights, because MMEngine's two runners draw different random numbers before they
    initialise a model.
    """
    load_from, sharded_config = [], tmp_path_factory.mktemp('configs') / 'sharded.py'
    sharded_config.write_text(SHARDED)

    def make(processes, folder, iterations, *arguments, sharded=False):
        config, changes = 'configs/xcit_upernet_digits.py', CHANGES
        if sharded:
            config, changes = sharded_config, [*CHANGES, 'strategy.model_wrapper.device_id=cpu']
        arguments = [str(config), *([str(processes)] if processes > 1 else []), '--work-dir',
                     str(folder), *arguments, '--cfg-options', f'data_root={scenes}', *changes,
                     f'train_cfg.max_iters={iterations}', f'train_dataloader.batch_size={4 // processes}', *load_from]
        return [*(['tools/dist_train.sh'] if processes > 1 else [sys.executable, 'tools/train.py']), *arguments]

    start = tmp_path_factory.mktemp('start') / 'weights.pth'
    torch.manual_seed(0)  # with some weights, a value is so near the kink of a ReLU that rounding decides its gradient
    model = init_model(runner_config(runner_parser('').parse_args(make(1, start.parent, 1)[2:])))
    model.init_weights()
    torch.save(model.state_dict(), start)
    load_from.append(f'load_from={start}')
    return make


@pytest.fixture(scope='module')
def trained(command, tmp_path_factory):
    """Return a function that trains each variant once, for four uninterrupted iterations, and returns the folder."""
    @cache
    def train(processes, sharded=False):
        folder = tmp_path_factory.mktemp('steady')
        run(command(processes, folder, 4, sharded=sharded))
        return folder

    return train


def run(command):
    result = subprocess.run(command, cwd=ROOT, env={**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'},
                            capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr


def weights(folder, iteration):
    content = torch.load(folder / f'iter_{iteration}.pth', weights_only=False)
    return torch.cat([value.flatten().double() for value in content['state_dict'].values()])


def assert_same_weights(folder, steady):
    change = (weights(steady, 4) - weights(steady, 2)).norm()
    assert (weights(folder, 4) - weights(steady, 4)).norm() < 1e-4 * change


def gradient_norms(folder):
    logs, = [path for path in folder.glob('*/vis_data/scalars.json')]
    rows = [json.loads(line) for line in logs.read_text().splitlines()]
    return torch.tensor([row['grad_norm'] for row in rows if 'grad_norm' in row])


@pytest.mark.slow
@pytest.mark.parametrize('sharded', [False, True])
def test_two_processes_match_one_with_twice_the_batch_size(trained, sharded):
    one, two = trained(1), trained(2, sharded)
    assert len(gradient_norms(one)) == 4
    torch.testing.assert_close(gradient_norms(two), gradient_norms(one), rtol=1e-4, atol=0)
    assert_same_weights(two, one)


@pytest.fixture
def interrupted(trained, tmp_path):
    """Return a function that copies a work directory as it was after two processes ran their second iteration."""
    def make(sharded):
        shutil.copy(trained(2, sharded) / 'iter_2.pth', tmp_path)
        (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_2.pth'))
        return tmp_path

    return make


@pytest.mark.slow
def test_training_resumes_with_a_different_number_of_processes(command, trained, interrupted):
    folder = interrupted(sharded=False)
    run(command(1, folder, 4, '--resume'))
    assert len(gradient_norms(folder)) == 2
    assert_same_weights(folder, trained(1))


@pytest.mark.slow
def test_sharded_training_resumes(command, trained, interrupted):
    folder = interrupted(sharded=True)
    run(command(2, folder, 4, '--resume', sharded=True))
    assert len(gradient_norms(folder)) == 2
    assert_same_weights(folder, trained(2, True))


NAN_HOOK = """
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class NaNInput(Hook):

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 1 and get_rank() == 1:
            data_batch['inputs'] = [image * float('nan') for image in data_batch['inputs']]
"""
NAN_CONFIG = """_base_ = __import__('xcit_mm').config_path('xcit_upernet_digits.py')
custom_imports = dict(imports=['xcit_mm', 'nan_input'])
custom_hooks = [dict(type='NaNInput')]
"""


@pytest.mark.slow
def test_invalid_loss_on_one_rank_stops_all_ranks(command, tmp_path, monkeypatch):
    (tmp_path / 'nan_input.py').write_text(NAN_HOOK)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path), prepend=os.pathsep)
    (tmp_path / 'nan.py').write_text(NAN_CONFIG)
    arguments = command(2, tmp_path / 'nan', 4)
    arguments[1] = str(tmp_path / 'nan.py')
    result = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=600,
                            env={**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'})
    assert result.returncode != 0
    listed = tmp_path / 'nan/invalid_loss_iter_2_rank_1.txt'
    assert (f'error: cannot continue: the loss of iteration 2 is nan; check the images and masks listed in {listed}'
            in result.stderr)
    assert list((tmp_path / 'nan').glob('*iter_*')) == [listed] and len(listed.read_text().splitlines()) == 4


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_job_leaves_no_process_behind(command, tmp_path, number):
    arguments = [*command(2, tmp_path / 'job', 10**6), 'train_dataloader.num_workers=1']
    with open(tmp_path / 'log', 'w') as log:
        process = subprocess.Popen(arguments, cwd=ROOT, stdout=log, stderr=log,
                                   env={**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'})
    pointer, deadline = tmp_path / 'job/last_checkpoint', time.monotonic() + 300
    while not pointer.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    ranks = [child for child in psutil.Process(process.pid).children() if 'tools/train.py' in child.cmdline()]
    assert len(ranks) == 2, (tmp_path / 'log').read_text()
    everything = psutil.Process(process.pid).children(recursive=True)
    if number == signal.SIGKILL:
        ranks[1].kill()
    else:
        process.terminate()
    assert process.wait(timeout=120) != 0
    _, alive = psutil.wait_procs(everything, timeout=60)
    assert not alive
    if number == signal.SIGTERM:
        saved = Path(pointer.read_text())
        assert f'terminated: saved {saved}' in (tmp_path / 'log').read_text()
        torch.load(saved, weights_only=False)
