"""Trainings that go wrong say why, and lose nothing."""
import errno
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from xcit_mm.config import load_config
from xcit_mm.errors import InputError
from xcit_mm.hooks import LabelRangeHook
from xcit_mm.runner import StrictRunner

CONFIG = Path(__file__).resolve().parents[1] / 'configs/xcit_upernet_digits.py'


@pytest.fixture
def train(tmp_path, scenes):
    """Train on two scenes at a time; hooks may interfere."""

    def run(iterations=4, hooks=(), root=scenes, **changes):
        config = load_config(CONFIG, {
            'data_root': str(root), 'train_cfg.max_iters': iterations, 'train_cfg.val_interval': 100,
            'train_dataloader.batch_size': 2, 'train_dataloader.num_workers': 0, 'val_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False, 'val_dataloader.persistent_workers': False,
            'default_hooks.checkpoint.interval': 2, 'default_hooks.checkpoint.save_last': False,
            'model.backbone.arch': dict(embed_dim=16, depth=4, num_heads=2, patch_size=16),
            'model.decode_head.in_channels': [16] * 4, 'model.auxiliary_head.in_channels': 16, **changes},
            str(tmp_path / 'run'))
        runner = StrictRunner.from_cfg(config)
        for hook in hooks:
            runner.register_hook(hook, priority='VERY_HIGH')
        runner.train()
        return runner

    return run


class At(Hook):
    """Do something before one iteration, or in the validation after so many."""

    def __init__(self, iteration, action, loop='train'):
        self.iteration, self.action = iteration, action
        setattr(self, f'before_{loop}_iter', self.act)

    def act(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            self.action(runner)


def spoil(runner):
    runner.model.decode_head.conv_seg.bias.data[0] = float('nan')


def test_an_invalid_loss_ends_the_training_and_names_its_images(train, tmp_path):
    with pytest.raises(InputError, match='the loss of iteration 4 is nan; .*invalid_loss_iter_4.txt'):
        train(6, [At(3, spoil)])
    listed = [Path(line) for line in (tmp_path / 'run/invalid_loss_iter_4.txt').read_text().splitlines()]
    assert [path.parent.parent.name for path in listed] == ['images', 'masks'] * 2
    assert all(path.is_file() for path in listed)
    weights = torch.load(tmp_path / 'run/iter_2.pth', weights_only=False)['state_dict']
    assert all(value.isfinite().all() for value in weights.values())
    assert not (tmp_path / 'run/iter_4.pth').exists()


def test_a_hook_can_be_switched_off(train):
    assert train(3, [At(1, spoil)], **{'default_hooks.invalid_loss': None}).iter == 3


@pytest.mark.parametrize('value', [11, 200])
def test_a_label_without_a_class_names_its_file(train, tmp_path, scenes, value):
    root = copytree(scenes, tmp_path / 'digits')
    for path in (root / 'masks/train').iterdir():
        labels = np.asarray(Image.open(path)).copy()
        labels[:8] = 255  # which is ignored
        labels[8:16] = value
        Image.fromarray(labels).save(path)
    with pytest.raises(InputError, match=rf'masks/train/.*png: label {value} is out of range; the model has 11 '):
        train(root=root)


@pytest.mark.parametrize('head', ['decode_head', 'auxiliary_head'])
def test_heads_of_another_number_of_classes_are_named(train, head):
    with pytest.raises(InputError, match=rf'model.{head} has 7 classes, but the data set has 11 \(background, 0, 1, …'):
        train(**{f'model.{head}.num_classes': 7, f'model.{head}.out_channels': 7,
                 f'model.{head}.loss_decode.class_weight': None})


class Binary(torch.nn.Module):
    """A head with one logit, behind a cascade's first stage, and one that learns from edges."""

    def __init__(self):
        super().__init__()
        stage = torch.nn.Identity()
        stage.num_classes, stage.out_channels, stage.ignore_index = 1, 1, 255
        edges = torch.nn.Identity()
        edges.num_classes, edges.boundary_threshold = 7, 0.1
        self.decode_head, self.auxiliary_head = torch.nn.ModuleList([stage, stage]), edges


def test_one_class_for_one_logit_is_named():
    runner = SimpleNamespace(model=Binary(), train_dataloader=SimpleNamespace(
        dataset=SimpleNamespace(metainfo=dict(classes=('crack', )))))
    with pytest.raises(InputError, match='decode_head.0 has 2 classes, .* 1 [(]crack[)]: give the data set two'):
        LabelRangeHook().before_train(runner)


@pytest.mark.parametrize('loop', ['train', 'val', 'test'])
@pytest.mark.parametrize('label', [1, 2])
def test_one_logit_tells_two_classes_apart(label, loop):
    runner = SimpleNamespace(model=Binary(), train_dataloader=SimpleNamespace(
        dataset=SimpleNamespace(metainfo=dict(classes=('sky', 'other')))))
    hook, labels = LabelRangeHook(), torch.full((1, 2, 2), label)
    hook.before_train(runner)
    sample = SegDataSample(metainfo=dict(seg_map_path='a.png'), gt_sem_seg=PixelData(data=labels))
    with nullcontext() if label == 1 else pytest.raises(InputError, match='a.png: label 2 is out of range'):
        getattr(hook, f'before_{loop}_iter')(runner, 0, dict(data_samples=[SegDataSample(), sample]))


def test_sigterm_saves_and_the_training_goes_on_from_there(train, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as exit_:
        train(5, [At(2, lambda runner: os.kill(os.getpid(), signal.SIGTERM))])
    assert exit_.value.code == 143 and signal.getsignal(signal.SIGTERM) is before
    assert (tmp_path / 'run/last_checkpoint').read_text() == str(tmp_path / 'run/iter_3.pth')
    begun = []
    runner = train(5, [At(3, lambda runner: begun.append(runner.iter))], resume=True)
    assert begun == [3] and runner.iter == 5 and signal.getsignal(signal.SIGTERM) is before


def terminate(runner):
    """As launchers do: the whole job, data loaders and all."""
    processes = [*psutil.Process().children(recursive=True), psutil.Process()]
    subprocess.run(['kill', *(str(process.pid) for process in processes)], check=True)
    time.sleep(0.5)  # for a worker to die


@pytest.mark.slow
def test_workers_live_through_sigterm(train, tmp_path):
    with pytest.raises(SystemExit):
        train(5, [At(2, terminate)], **{'train_dataloader.num_workers': 1})
    assert torch.load(tmp_path / 'run/iter_3.pth', weights_only=False)['meta']['iter'] == 3


@pytest.mark.slow
def test_sigterm_ends_a_validation(train, tmp_path):
    changes = {'train_cfg.val_interval': 3, 'default_hooks.checkpoint.interval': 100}
    with pytest.raises(SystemExit):
        train(5, [At(3, terminate, loop='val')], **changes)
    assert torch.load(tmp_path / 'run/iter_3.pth', weights_only=False)['meta']['iter'] == 3
    begun = []
    train(5, [At(3, lambda runner: begun.append(runner.iter))], resume=True, **changes)
    assert begun == [3]


def test_a_training_that_fails_gives_the_signal_back(train):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(InputError):
        train(5, [At(1, spoil)])
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_training_in_another_thread(train):
    with ThreadPoolExecutor() as pool:
        assert pool.submit(train, 2).result().iter == 2


@pytest.fixture
def fill(monkeypatch):
    """A hook's action, after which the disk has no room."""
    import mmengine.fileio.backends.local_backend as backend

    def put(self, obj, filepath):
        Path(filepath).write_bytes(obj[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return lambda runner: monkeypatch.setattr(backend.LocalBackend, 'put', put)


@pytest.mark.parametrize('kept', [-1, 1])
def test_a_full_disk_leaves_the_checkpoint_before(train, tmp_path, fill, kept):
    with pytest.raises(InputError, match='cannot write .*iter_4.pth: No space left on device'):
        train(6, [At(3, fill)], **{'default_hooks.checkpoint.max_keep_ckpts': kept})
    assert sorted(path.name for path in (tmp_path / 'run').glob('*iter_*')) == ['iter_2.pth']
    assert (tmp_path / 'run/last_checkpoint').read_text() == str(tmp_path / 'run/iter_2.pth')
    torch.load(tmp_path / 'run/iter_2.pth', weights_only=False)


def test_a_full_disk_leaves_the_best_checkpoint(train, tmp_path, fill):
    class Rising(Hook):

        def after_val_epoch(self, runner, metrics):
            metrics['mIoU'] = runner.iter

    with pytest.raises(InputError, match='cannot write .*best_mIoU_iter_4.pth: No space left on device'):
        train(6, [At(4, fill, loop='val'), Rising()], **{
            'train_cfg.val_interval': 2, 'default_hooks.checkpoint.save_best': 'mIoU'})
    assert [path.name for path in (tmp_path / 'run').glob('*best*')] == ['best_mIoU_iter_2.pth']


@pytest.mark.slow
def test_outdated_checkpoints_go(train, tmp_path):
    train(6, **{'default_hooks.checkpoint.max_keep_ckpts': 1, 'default_hooks.checkpoint.save_best': 'mIoU',
                'train_cfg.val_interval': 3})
    names = sorted(path.name for path in (tmp_path / 'run').glob('*.pth'))
    assert len(names) == 2 and names[0].startswith('best_mIoU_iter_') and names[1] == 'iter_6.pth'
