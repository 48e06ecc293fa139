"""An unreadable image or mask is named in an error; with ``damaged_files=skip``, training skips and counts it."""
import copy
import errno
import pickle
import re
import struct
import zlib
from shutil import copytree

import numpy as np
import pytest
import tifffile
import torch
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from PIL import Image

from xcit_mm.errors import InputError
from xcit_mm.training.damaged_files import GuardedLoading, guard
from xcit_mm.training.runner import StrictRunner

CONFIG = 'configs/xcit_upernet_digits.py'
OPTIONS = ['train_cfg.max_iters=4', 'train_cfg.val_interval=100', 'train_dataloader.batch_size=4',
           'train_dataloader.num_workers=2', 'default_hooks.checkpoint.save_last=False',
           'model.backbone.arch.embed_dim=16', 'model.decode_head.in_channels=[16,16,16,16]',
           'model.auxiliary_head.in_channels=16']


@pytest.fixture
def damaged(scenes, tmp_path):
    """Return a function that copies the eight scenes and truncates one file."""

    def make(folder):
        root = copytree(scenes, tmp_path / 'digits')
        path = sorted((root / folder / 'train').iterdir())[3]
        path.write_bytes(path.read_bytes()[:20])
        return root, path

    return make


@pytest.mark.slow
@pytest.mark.parametrize('folder', ['images', 'masks'])
def test_training_names_the_damaged_file(run_tool, damaged, tmp_path, folder):
    root, path = damaged(folder)
    # Silence OpenCV, because a message from another worker could end up in the middle of our line.
    result = run_tool('train', CONFIG, '--work-dir', tmp_path / 'run', '--cfg-options', f'data_root={root}', *OPTIONS,
                      OPENCV_LOG_LEVEL='SILENT')
    assert result.returncode == 1
    assert re.search(f'^error: cannot read {path}: it is damaged or not an image [(].*[)]; repair or remove it, '
                     'or skip such files with train_dataloader.damaged_files=skip$', result.stderr, re.MULTILINE)
    assert 'Traceback' not in result.stderr


@pytest.mark.slow
def test_training_skips_and_counts_the_damaged_file(run_tool, damaged, tmp_path):
    root, path = damaged('images')
    result = run_tool('train', CONFIG, '--work-dir', tmp_path / 'run', '--cfg-options', f'data_root={root}', *OPTIONS,
                      'train_dataloader.damaged_files=skip', 'val_cfg=None', 'val_dataloader=None',
                      'val_evaluator=None')
    assert result.returncode == 0, result.stderr
    log = result.stdout + result.stderr
    assert f'skipped {path}: it is damaged or not an image' in log
    assert 'skips so far: 2' in log  # the two workers share the counter


def test_evaluation_refuses_to_skip_files():
    with pytest.raises(InputError, match='damaged_files=skip in an evaluation: .* would count twice; use it in train'):
        StrictRunner.build_dataloader(dict(dataset=[1], batch_size=1, damaged_files='skip',
                                           sampler=dict(type='DefaultSampler', shuffle=False)))


def test_guard_reaches_every_part_of_a_nested_data_set(scenes):
    from mmseg.datasets import BaseSegDataset

    def make():
        return BaseSegDataset(data_root=str(scenes), img_suffix='.png', data_prefix=dict(img_path='images/train'),
                              pipeline=[dict(type='LoadImageFromFile')])

    parts = [make(), make(), make()]
    shown = repr(parts[0].pipeline)
    guard(ConcatDataset(parts[:2]))
    guard(RepeatDataset(parts[2], 2))
    assert all(isinstance(part, BaseDataset) and isinstance(part.pipeline.transforms[0], GuardedLoading)
               for part in parts)
    assert repr(parts[0].pipeline) == shown
    for again in (copy.deepcopy(parts[0]), pickle.loads(pickle.dumps(parts[0])), parts[0].get_subset([1])):
        assert again[0]['img'].shape[2] == 3


def test_guard_reaches_nested_transforms(damaged):
    from mmseg.datasets import BaseSegDataset

    root, path = damaged('images')
    loading = dict(type='mmcv.RandomApply', transforms=[dict(type='LoadImageFromFile')], prob=1.0)
    dataset = BaseSegDataset(data_root=str(root), img_suffix='.png', data_prefix=dict(img_path='images/train'),
                             pipeline=[loading])
    guard(dataset)
    assert 'img' in dataset[0]
    with pytest.raises(InputError, match=f'cannot read {path}: it is damaged'):
        dataset[3]


def masked_dataset(root):
    from mmseg.datasets import BaseSegDataset

    dataset = BaseSegDataset(
        data_root=str(root), img_suffix='.png', seg_map_suffix='.png',
        data_prefix=dict(img_path='images/train', seg_map_path='masks/train'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='mmseg.LoadAnnotations')])
    guard(dataset)
    return dataset


@pytest.mark.parametrize('mask, message', [
    (np.zeros((5, 4), np.uint8), '00003.png as a mask: it is 4 x 5, but its image .*00003.png is 128 x 96'),
    (np.full((96, 128), 300, np.uint16), '00003.png as a mask: label 300 is out of range; number .* 0 to 255'),
    (np.zeros((96, 128, 3), np.uint8), '00003.png as a mask: it has 3 channels; convert its colours')])
def test_error_names_a_mask_that_does_not_match_its_image(scenes, tmp_path, mask, message):
    root = copytree(scenes, tmp_path / 'digits')
    Image.fromarray(np.zeros((96, 128, 3), np.uint8)).save(root / 'images/train/00003.png')
    Image.fromarray(mask).save(root / 'masks/train/00003.png')
    dataset = masked_dataset(root)
    dataset[0]
    with pytest.raises(InputError, match=message):
        dataset[3]


def save_turned(mask, path):
    exif = Image.Exif()
    exif[0x0112] = 3
    mask.save(path, exif=exif)


def save_4_bits(mask, path):
    labels = np.asarray(mask)
    rows = np.pad(labels[:, ::2] << 4 | labels[:, 1::2], ((0, 0), (1, 0)))  # each begins with the type of its filter
    chunks = [(b'IHDR', struct.pack('>IIBBBBB', *mask.size, 4, 0, 0, 0, 0)), (b'IDAT', zlib.compress(rows.tobytes())),
              (b'IEND', b'')]
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))
        for kind, content in chunks))


@pytest.mark.parametrize('save, message', [
    (save_turned, 'as a mask: it is stored rotated or mirrored .orientation 3.; store it upright'),
    (lambda mask, path: mask.save(path, save_all=True, append_images=[mask.point(lambda value: value + 1)]),
     'as a mask: it holds 2 images'),
    (lambda mask, path: mask.save(path, 'JPEG'), 'it is a JPEG, whose compression changes labels; save it as PNG'),
    (save_4_bits, 'its labels have 4 bits, which decoders stretch to 0 … 255'),
    (lambda mask, path: tifffile.imwrite(path, np.asarray(mask), photometric='miniswhite'), 'stored with 0 for white'),
    (lambda mask, path: tifffile.imwrite(path, np.asarray(mask) - np.int16(1)), 'label -1 is out of range'),
    (lambda mask, path: tifffile.imwrite(path, np.asarray(mask) + np.float32(0.5)), 'label 0.5 is out of range')])
def test_error_names_a_mask_that_would_be_loaded_in_another_way(scenes, tmp_path, save, message):
    root = copytree(scenes, tmp_path / 'digits')
    dataset = masked_dataset(root)
    save(Image.open(root / 'masks/train/00003.png'), root / 'masks/train/00003.png')
    with pytest.raises(InputError, match=message):
        dataset[3]


def test_error_names_the_limit_that_a_mask_exceeds(scenes, monkeypatch):
    dataset = masked_dataset(scenes)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
    with pytest.raises(InputError, match="larger than Pillow allows .*LoadAnnotations.imdecode_backend='cv2'"):
        dataset[3]


def test_evaluation_error_does_not_suggest_skipping(damaged):
    from mmseg.datasets import BaseSegDataset

    root, path = damaged('images')
    dataset = BaseSegDataset(data_root=str(root), img_suffix='.png', data_prefix=dict(img_path='images/train'),
                             pipeline=[dict(type='LoadImageFromFile')])
    guard(dataset)
    with pytest.raises(InputError, match=f'cannot read {path}: .*; repair or remove it$'):
        list(dataset)


@pytest.mark.parametrize('error', [ImportError('no decoder'), MemoryError(), OSError(errno.EMFILE, 'open files')])
def test_errors_unrelated_to_the_file_pass_through(error):
    def load(results):
        raise error

    with pytest.raises(type(error)):
        GuardedLoading(load, True, torch.zeros(1), '')(dict(img_path='a.png'))


def test_unknown_action_is_refused():
    with pytest.raises(InputError, match="damaged_files='drop': no such action; choose refuse or skip"):
        StrictRunner.build_dataloader(dict(dataset=[1], batch_size=1, sampler=dict(type='DefaultSampler'),
                                           damaged_files='drop'))
