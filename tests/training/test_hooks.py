"""When training fails, the error says why and no checkpoint is lost."""
import errno
import os
from contextlib import nullcontext
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from interference import At, make_invalid
from mmengine.hooks import Hook
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from xcit_mm.errors import InputError
from xcit_mm.training.hooks import LabelRangeHook


def test_invalid_loss_stops_training_and_lists_the_images(train, tmp_path):
    with pytest.raises(InputError, match='the loss of iteration 4 is nan; .*listed in .*invalid_loss_iter_4.txt'):
        train(6, [At(3, make_invalid)])
    listed = [Path(line) for line in (tmp_path / 'run/invalid_loss_iter_4.txt').read_text().splitlines()]
    assert [path.parent.parent.name for path in listed] == ['images', 'masks'] * 2
    assert all(path.is_file() for path in listed)
    weights = torch.load(tmp_path / 'run/iter_2.pth', weights_only=False)['state_dict']
    assert all(value.isfinite().all() for value in weights.values())
    assert not (tmp_path / 'run/iter_4.pth').exists()


def test_config_disables_one_of_our_hooks(train):
    assert train(3, [At(1, make_invalid)], **{'default_hooks.invalid_loss': None}).iter == 3


def test_config_disables_an_mmengine_hook(train, tmp_path):
    train(2, **{'default_hooks.checkpoint': None})
    assert not list((tmp_path / 'run').glob('*.pth'))


@pytest.mark.parametrize('value', [11, 200])
def test_error_names_the_file_of_a_label_without_a_class(train, tmp_path, scenes, value):
    root = copytree(scenes, tmp_path / 'digits')
    for path in (root / 'masks/train').iterdir():
        labels = np.asarray(Image.open(path)).copy()
        labels[:8] = 255  # the ignored label
        labels[8:16] = value
        Image.fromarray(labels).save(path)
    with pytest.raises(InputError, match=rf'masks/train/.*png: label {value} is out of range, because .* has 11 '):
        train(root=root)


@pytest.mark.parametrize('head', ['decode_head', 'auxiliary_head'])
def test_error_names_a_head_with_the_wrong_number_of_classes(train, head):
    with pytest.raises(InputError, match=rf'model.{head}: it has 7 .* data set has 11 \(background, 0, 1, …'):
        train(**{f'model.{head}.num_classes': 7, f'model.{head}.out_channels': 7,
                 f'model.{head}.loss_decode.class_weight': None})


class Binary(torch.nn.Module):
    """A model with a cascade of two one-logit heads and an auxiliary head that learns edges."""

    def __init__(self):
        super().__init__()
        stage = torch.nn.Identity()
        stage.num_classes, stage.out_channels, stage.ignore_index = 1, 1, 255
        edges = torch.nn.Identity()
        edges.num_classes, edges.boundary_threshold = 7, 0.1
        self.decode_head, self.auxiliary_head = torch.nn.ModuleList([stage, stage]), edges


def test_one_logit_needs_two_classes_in_the_data_set():
    runner = SimpleNamespace(model=Binary(), train_dataloader=SimpleNamespace(
        dataset=SimpleNamespace(metainfo=dict(classes=('crack', )))))
    with pytest.raises(InputError, match='decode_head.0: it has 2 classes, .* 1 [(]crack[)]; give the data set two'):
        LabelRangeHook().before_train(runner)


@pytest.mark.parametrize('loop', ['train', 'val', 'test'])
@pytest.mark.parametrize('label', [1, 2])
def test_one_logit_allows_two_labels(label, loop):
    runner = SimpleNamespace(model=Binary(), train_dataloader=SimpleNamespace(
        dataset=SimpleNamespace(metainfo=dict(classes=('sky', 'other')))))
    hook, labels = LabelRangeHook(), torch.full((1, 2, 2), label)
    hook.before_train(runner)
    sample = SegDataSample(metainfo=dict(seg_map_path='a.png'), gt_sem_seg=PixelData(data=labels))
    with nullcontext() if label == 1 else pytest.raises(InputError, match='a.png: label 2 is out of range'):
        getattr(hook, f'before_{loop}_iter')(runner, 0, dict(data_samples=[SegDataSample(), sample]))


@pytest.fixture
def fill(monkeypatch):
    """Return a hook action that simulates a full disk."""
    import mmengine.fileio.backends.local_backend as backend

    def put(self, obj, filepath):
        Path(filepath).write_bytes(obj[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return lambda runner: monkeypatch.setattr(backend.LocalBackend, 'put', put)


@pytest.mark.parametrize('kept', [-1, 1])
def test_full_disk_keeps_the_previous_checkpoint(train, tmp_path, fill, kept):
    with pytest.raises(InputError, match='cannot write .*iter_4.pth: No space left on device'):
        train(6, [At(3, fill)], **{'default_hooks.checkpoint.max_keep_ckpts': kept})
    assert sorted(path.name for path in (tmp_path / 'run').glob('*iter_*')) == ['iter_2.pth']
    assert (tmp_path / 'run/last_checkpoint').read_text() == str(tmp_path / 'run/iter_2.pth')
    torch.load(tmp_path / 'run/iter_2.pth', weights_only=False)


def test_full_disk_keeps_the_best_checkpoint(train, tmp_path, fill):
    class Rising(Hook):

        def after_val_epoch(self, runner, metrics):
            metrics['mIoU'] = runner.iter

    with pytest.raises(InputError, match='cannot write .*best_mIoU_iter_4.pth: No space left on device'):
        train(6, [At(4, fill, loop='val'), Rising()], **{
            'train_cfg.val_interval': 2, 'default_hooks.checkpoint.save_best': 'mIoU'})
    assert [path.name for path in (tmp_path / 'run').glob('*best*')] == ['best_mIoU_iter_2.pth']


@pytest.mark.slow
def test_outdated_checkpoints_are_removed(train, tmp_path):
    train(6, **{'default_hooks.checkpoint.max_keep_ckpts': 1, 'default_hooks.checkpoint.save_best': 'mIoU',
                'train_cfg.val_interval': 3})
    names = sorted(path.name for path in (tmp_path / 'run').glob('*.pth'))
    assert len(names) == 2 and names[0].startswith('best_mIoU_iter_') and names[1] == 'iter_6.pth'
