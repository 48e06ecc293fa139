"""A label means the same class in masks, data sets, checkpoints and results, or the user is told."""
from shutil import copytree
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmseg.evaluation import IoUMetric
from PIL import Image

from xcit_mm.checkpoints import get_dataset_meta
from xcit_mm.classes import dataset_meta, difference
from xcit_mm.config import load_config
from xcit_mm.errors import InputError
from xcit_mm.training import metrics
from xcit_mm.training.hooks import ClassNamesHook, label_census
from xcit_mm.training.metrics import adapt
from xcit_mm.training.runner import StrictRunner


def dataset_of(scenes, tmp_path, change, classes=('a', 'b')):
    root = copytree(scenes, tmp_path / 'digits')
    for path in (root / 'masks/train').iterdir():
        Image.fromarray(change(np.asarray(Image.open(path)))).save(path)
    config = load_config('configs/xcit_upernet_digits.py', {
        'data_root': str(root), 'train_dataloader.num_workers': 0,
        'train_dataloader.dataset.metainfo': dict(classes=classes, palette=[[0] * 3] * len(classes))})
    with DefaultScope.overwrite_default_scope('mmseg'):
        return SimpleNamespace(train_dataloader=StrictRunner.build_dataloader(config.train_dataloader))


def test_masks_of_0_and_255_are_refused(scenes, tmp_path):
    runner = dataset_of(scenes, tmp_path, lambda mask: np.where(mask > 0, 255, 0).astype(np.uint8))
    with pytest.raises(InputError, match=r"all 8 training masks: 'b' occurs in none; \d+% of the pixels are ignored"):
        label_census.LabelCensusHook().before_train(runner)


def test_absent_classes_are_named_with_the_size_of_the_sample(scenes, tmp_path, monkeypatch):
    runner = dataset_of(scenes, tmp_path, lambda mask: (mask > 0).astype(np.uint8), ('a', 'b', 'rare'))
    logged = []
    monkeypatch.setattr(label_census, 'print_log', lambda message, *args: logged.append(message))
    label_census.LabelCensusHook().before_train(runner)
    monkeypatch.setattr(label_census, 'MASKS', 3)
    label_census.LabelCensusHook().before_train(runner)
    assert [message.split(';')[0] for message in logged] == [
        f"'rare' occurs in none of {sample} training masks" for sample in ('all 8', '3 of 8')]


def test_classes_without_a_score_are_named(monkeypatch):
    logged = []
    monkeypatch.setattr(metrics, 'print_log', lambda message, *args: logged.append(message))
    metric = IoUMetric()
    adapt(metric)
    metric.dataset_meta = dict(classes=('a', 'b', 'c'))
    labels = dict(data=torch.tensor([[[0, 1]]]))
    metric.process({}, [dict(pred_sem_seg=labels, gt_sem_seg=labels)])
    metric.compute_metrics(metric.results)
    assert len(logged) == 1 and logged[0].startswith("no pixel of 'c' occurs")


def test_saved_masks_hold_class_indices_despite_reduce_zero_label(tmp_path):
    metric = IoUMetric(output_dir=str(tmp_path), format_only=True)
    adapt(metric)
    metric.dataset_meta = dict(classes=('a', 'b', 'c'))
    metric.process({}, [dict(pred_sem_seg=dict(data=torch.tensor([[[0, 2], [1, 1]]])), img_path='x.png',
                             reduce_zero_label=True)])
    assert np.array_equal(np.asarray(Image.open(tmp_path / 'x.png')), [[0, 2], [1, 1]])


def loop(*classes):
    return SimpleNamespace(dataloader=SimpleNamespace(dataset=SimpleNamespace(metainfo=dict(classes=classes))))


@pytest.mark.parametrize('meta', [dict(dataset_meta=dict(classes=('a', 'b'))), dict(CLASSES=('a', 'b'))])
def test_checkpoint_with_other_names_is_refused(meta):
    runner = SimpleNamespace(_test_loop=loop('b', 'a'), _resume=False)
    with pytest.raises(InputError, match="class 0 is 'a' in one and 'b' in the other"):
        ClassNamesHook().after_load_checkpoint(runner, dict(meta=meta))
    runner = SimpleNamespace(_train_loop=loop('b', 'a'), _resume=False)
    with pytest.raises(InputError, match='train_dataloader differ'):
        ClassNamesHook().after_load_checkpoint(runner, dict(meta=meta))
    ClassNamesHook().after_load_checkpoint(SimpleNamespace(_train_loop=loop('c', 'd'), _resume=False), dict(meta=meta))
    with pytest.raises(InputError, match='train_dataloader differ'):
        runner = SimpleNamespace(_train_loop=loop('c', 'd'), _resume=True)
        ClassNamesHook().after_load_checkpoint(runner, dict(meta=meta))


def test_training_and_validation_have_the_same_classes():
    runner = SimpleNamespace(_train_loop=loop('a', 'b'), val_loop=loop('b', 'a'),
                             train_dataloader=loop('a', 'b').dataloader, val_dataloader=loop('b', 'a').dataloader)
    with pytest.raises(InputError, match='training and validation data differ'):
        ClassNamesHook().before_train(runner)


def test_names_of_old_checkpoints_win_over_the_config():
    config = load_config('configs/xcit_upernet_digits.py')
    old = dict(meta=dict(CLASSES=tuple('abcdefghijk'), PALETTE=[[1, 2, 3]] * 11))
    model = SimpleNamespace(num_classes=11)
    assert dataset_meta(config, model, old)['classes'] == tuple('abcdefghijk')
    with pytest.raises(InputError, match='the model has 7, but the data set names 11'):
        dataset_meta(config, SimpleNamespace(num_classes=7), {})
    assert get_dataset_meta(dict(meta=None)) == {} and difference('ab', 'ab') == ''


def test_worker_settings_have_no_effect_without_workers():
    loader = StrictRunner.build_dataloader(dict(
        dataset=[1], batch_size=1, num_workers=0, persistent_workers=True, prefetch_factor=2,
        sampler=dict(type='DefaultSampler')))
    assert loader.num_workers == 0 and not loader.persistent_workers
