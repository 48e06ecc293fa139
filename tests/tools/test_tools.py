"""Run the command-line tools the way a user would."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from detection import needs_mmdet
from PIL import Image

from xcit_mm import XCiT

ROOT = Path(__file__).resolve().parents[2]
COCO = ROOT.parent / 'shared/data/coco128_panoptic'
ADE20K, DIGITS = 'configs/xcit_upernet_ade20k.py', 'configs/xcit_upernet_digits.py'
DETECTOR = 'configs/xcit_mask_rcnn_digits.py'
NARROW = ['model.backbone.arch.embed_dim=16', 'model.decode_head.in_channels=[16,16,16,16]',
          'model.decode_head.channels=16', 'model.auxiliary_head.in_channels=16',
          'model.auxiliary_head.channels=16']  # changes to DIGITS
NARROW_HEADS = [f'model.{key}=32' for key in (
    'neck.out_channels', 'rpn_head.in_channels', 'rpn_head.feat_channels', 'roi_head.bbox_roi_extractor.out_channels',
    'roi_head.bbox_head.in_channels', 'roi_head.mask_roi_extractor.out_channels', 'roi_head.mask_head.in_channels',
    'roi_head.mask_head.conv_out_channels')]  # changes to Mask R-CNN


@pytest.fixture
def miniature_ade20k(tmp_path):
    rng = np.random.default_rng(0)
    for split, count in dict(training=2, validation=1).items():
        for kind in ('images', 'annotations'):
            (tmp_path / kind / split).mkdir(parents=True)
        for index in range(count):
            image = rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / f'images/{split}/{index}.jpg')
            Image.fromarray(rng.integers(0, 151, (96, 128), dtype=np.uint8)).save(
                tmp_path / f'annotations/{split}/{index}.png')
    return tmp_path


@pytest.mark.slow
def test_ade20k_recipe_from_end_to_end(run_tool, run_here, miniature_ade20k, capsys, tmp_path):
    weights = XCiT('small_12_p16', pyramid=False).state_dict()  # the weights that a classifier and our backbone share
    torch.save(dict(model=weights | dict(cls_token=torch.zeros(1, 1, 384))), tmp_path / 'pretrained.pth')
    # At the heads' full width, which test_recipes.py checks, their convolutions would take most of the time.
    options = ['--work-dir', tmp_path / 'run', '--cfg-options', f'data_root={miniature_ade20k}',
               'model.decode_head.channels=32', 'model.auxiliary_head.channels=32']
    result = run_tool('train', ADE20K, *options, f'model.backbone.init_cfg.checkpoint={tmp_path}/pretrained.pth',
                      'train_cfg.max_iters=1', 'train_cfg.val_interval=1',
                      'default_hooks.checkpoint.interval=1', 'default_hooks.logger.interval=1')
    assert result.returncode == 0, result.stderr
    log = result.stdout + result.stderr
    assert 'randomly initialised: fpn1, fpn2' in log and 'mIoU' in log
    assert run_here('test', ADE20K, tmp_path / 'run/iter_1.pth', *options) is None
    assert 'mIoU:' in capsys.readouterr().out


@pytest.mark.slow
def test_digits_from_training_to_pictures(run_tool, run_here, scenes, tmp_path):
    run = tmp_path / 'run'
    result = run_tool('train', DIGITS, '--work-dir', run, '--cfg-options', f'data_root={scenes}',
                      'train_cfg.max_iters=4', 'train_cfg.val_interval=2', 'train_dataloader.batch_size=2',
                      'default_hooks.checkpoint.interval=4', 'default_hooks.logger.interval=1')
    assert result.returncode == 0, result.stderr
    assert run_here('infer', DIGITS, run / 'iter_4.pth', scenes / 'images/val', '--out', tmp_path / 'pictures') is None
    assert len(list((tmp_path / 'pictures').glob('*_overlay.png'))) == 2
    assert len(list((tmp_path / 'pictures').glob('*_classes.png'))) == 2
    assert run_here('plot_training', run, '--out', tmp_path / 'curve.png') is None
    assert Image.open(tmp_path / 'curve.png').width > 500


@pytest.mark.slow
def test_training_resumes_after_a_kill(run_tool, scenes, tmp_path):
    run, total = tmp_path / 'run', 100
    arguments = [DIGITS, '--work-dir', run, '--resume', '--cfg-options', f'data_root={scenes}',
                 f'train_cfg.max_iters={total}', f'train_cfg.val_interval={total}', 'train_dataloader.batch_size=2',
                 'default_hooks.checkpoint.interval=5', 'default_hooks.logger.interval=5', *NARROW]
    command = [sys.executable, 'tools/train.py', *map(str, arguments)]
    with open(tmp_path / 'first.log', 'w') as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 300
        while not (run / 'last_checkpoint').exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert (run / 'last_checkpoint').exists() and not (run / f'iter_{total}.pth').exists()
    reached = int(Path((run / 'last_checkpoint').read_text()).stem.removeprefix('iter_'))
    end = reached + 5  # earlier than the first run would have ended
    result = run_tool('train', *arguments, f'train_cfg.max_iters={end}', f'train_cfg.val_interval={end}')
    log = result.stdout + result.stderr
    assert result.returncode == 0, log
    assert f'resumed epoch: 0, iter: {reached}' in log and 'mIoU' in log
    content = torch.load(run / f'iter_{end}.pth', weights_only=False)
    assert content['meta']['iter'] == end


@needs_mmdet
@pytest.mark.slow
def test_detection_from_training_to_pictures(run_tool, run_here, scenes, tmp_path):
    run = tmp_path / 'run'
    options = ['--cfg-options', f'data_root={scenes}', 'model.test_cfg.rcnn.score_thr=0.0']  # scores are still low
    result = run_tool('train', DETECTOR, '--work-dir', run, *options, 'train_cfg.max_iters=4',
                      'train_cfg.val_interval=4', 'train_dataloader.batch_size=2',
                      'default_hooks.checkpoint.interval=4', 'default_hooks.logger.interval=1')
    assert result.returncode == 0, result.stderr
    assert 'loss_mask' in result.stdout + result.stderr
    result = run_tool('test', DETECTOR, run / 'iter_4.pth', '--work-dir', run, *options)
    assert result.returncode == 0 and 'coco/segm_mAP:' in result.stdout, result.stderr
    assert run_here('infer', DETECTOR, run / 'iter_4.pth', scenes / 'images/val', '--out', tmp_path / 'pictures',
                    '--min-score', '0.0', '--cfg-options', 'model.test_cfg.rcnn.score_thr=0.0') is None
    objects = json.loads((tmp_path / 'pictures/00000_instances.json').read_text())
    assert objects and set(objects[0]) == {'category', 'score', 'bbox', 'segmentation'}
    from pycocotools import mask
    assert mask.decode(objects[0]['segmentation']).shape == (128, 128)
    assert Image.open(tmp_path / 'pictures/00001_overlay.png').size == (128, 128)


@needs_mmdet
@pytest.mark.slow
@pytest.mark.skipif(not COCO.is_dir(), reason=f'no {COCO}')
def test_coco_recipe_from_end_to_end(run_tool, run_here, capsys, tmp_path):
    for kind in ('train', 'val'):  # keep one photograph per split
        content = json.loads((COCO / f'annotations/instances_{kind}2017.json').read_text())
        content['images'] = content['images'][:1]
        kept = {image['id'] for image in content['images']}
        content['annotations'] = [row for row in content['annotations'] if row['image_id'] in kept]
        (tmp_path / 'coco/annotations').mkdir(parents=True, exist_ok=True)
        (tmp_path / f'coco/annotations/instances_{kind}2017.json').write_text(json.dumps(content))
        (tmp_path / f'coco/{kind}2017').symlink_to(COCO / f'images/{kind}2017')
    torch.save(dict(model=XCiT('tiny_12_p16').state_dict()), tmp_path / 'pretrained.pth')
    config = 'configs/mask_rcnn/xcit_mask_rcnn_tiny_12_p16_coco.py'
    options = ['--work-dir', tmp_path / 'run', '--cfg-options', f'data_root={tmp_path}/coco',
               'model.test_cfg.rcnn.score_thr=0.0', 'model.test_cfg.rcnn.max_per_img=5',  # scores are still low
               *NARROW_HEADS]  # narrow heads are faster; test_recipes.py checks the published widths
    result = run_tool('train', config, *options, f'model.backbone.init_cfg.checkpoint={tmp_path}/pretrained.pth',
                      'train_cfg.max_epochs=1', 'train_dataloader.batch_size=1', 'default_hooks.logger.interval=1')
    assert result.returncode == 0, result.stderr
    log = result.stdout + result.stderr
    assert "the authors' backbone of tiny_12_p16" in log and 'segm_mAP' in log
    assert run_here('test', config, tmp_path / 'run/epoch_1.pth', *options) is None
    assert '\ncoco/bbox_mAP: ' in capsys.readouterr().out
