"""``tools/test.py`` writes predictions and pictures, supports augmentation, and never replaces a user's files."""
import json

import cv2
import numpy as np
import pytest
import torch
from messages import is_one_line
from PIL import Image

from xcit_mm.apis import inference_segmentor, init_model

DIGITS, INSTANCES = 'configs/xcit_upernet_digits.py', 'configs/xcit_mask_rcnn_digits.py'


@pytest.fixture
def evaluate(run_here, tmp_path, scenes, weights):
    """Return a function that runs the tool on the scenes and returns its exit message."""
    def run(*options, config=DIGITS, checkpoint=weights, settings=()):
        return run_here('test', config, checkpoint, '--work-dir', tmp_path / 'run', *options, '--cfg-options',
                        f'data_root={scenes}', *settings)

    return run


def test_predictions_have_the_names_of_the_images_and_the_labels_of_inference(evaluate, tmp_path, scenes, weights):
    assert evaluate('--out', tmp_path / 'out', '--show-dir', tmp_path / 'shown') is None
    images = sorted((scenes / 'images/val').glob('*.png'))
    assert [path.name for path in sorted((tmp_path / 'out').glob('*.png'))] == [path.name for path in images]
    model = init_model(DIGITS, weights, device='cpu')
    for image in images:
        labels = np.asarray(Image.open(tmp_path / 'out' / image.name))
        assert len(np.unique(labels)) > 1
        np.testing.assert_array_equal(labels, inference_segmentor(model, image).pred_sem_seg.data[0])
        assert Image.open(tmp_path / 'shown' / f'{image.stem}_overlay.png').size[0] >= labels.shape[1]
    assert evaluate('--out', tmp_path / 'out') is None  # a second run may replace these results


def test_files_of_the_user_are_kept(evaluate, scenes, tmp_path):
    before = {path: path.read_bytes() for path in (scenes / 'images/val').iterdir()}
    assert is_one_line(evaluate('--out', scenes / 'images/val'), 'not an unchanged result of an earlier run')
    assert before == {path: path.read_bytes() for path in (scenes / 'images/val').iterdir()}
    name = next(iter(before)).name
    (tmp_path / 'own').mkdir()
    (tmp_path / 'own' / name).write_text('mine')
    assert is_one_line(evaluate(settings=[f'test_evaluator.output_dir={tmp_path / "own"}']), 'not an unchanged result')
    assert (tmp_path / 'own' / name).read_text() == 'mine'


@pytest.mark.parametrize('mode', ['whole', 'banded'])
def test_augmented_images_are_averaged(evaluate, tmp_path, scenes, weights, mode):
    assert evaluate('--tta', '--mode', mode, '--out', tmp_path / 'out') is None
    model = init_model(DIGITS, weights, device='cpu')
    for path in (scenes / 'images/val').glob('*.png'):
        image, total = cv2.imread(str(path)), 0
        for scale in (0.75, 1.0, 1.25):
            resized = cv2.resize(image, None, fx=scale, fy=scale)
            logits = inference_segmentor(model, resized, return_logits=True).seg_logits.data[None]
            total = total + torch.nn.functional.interpolate(logits, image.shape[:2], mode='bilinear').softmax(1)[0]
        best = total.topk(2, dim=0).values
        clear = best[0] - best[1] > 1e-2  # the tool resizes and averages in a different order
        labels = torch.from_numpy(np.asarray(Image.open(tmp_path / 'out' / path.name)))
        assert (labels == total.argmax(0))[clear].float().mean() > 0.99 and clear.float().mean() > 0.5


@pytest.mark.parametrize('options, words', [
    (['--tta', '--full-resolution'], 'leave out --tta or --full-resolution'),
    (['--out', '/proc/results'], 'cannot write to the folder /proc/results')])
def test_options_that_cannot_work_are_one_line(evaluate, options, words):
    assert is_one_line(evaluate(*options), words)


def test_a_config_without_augmentation_says_so(evaluate, tmp_path, scenes):
    config = tmp_path / 'plain.py'
    config.write_text("_base_ = __import__('xcit_mm').config_path('xcit_upernet_digits.py')\ntta_pipeline = None\n")
    assert is_one_line(evaluate('--tta', config=config), 'the config has no tta_pipeline')


def test_objects_are_written_as_json(evaluate, tmp_path, scenes):
    pytest.importorskip('mmdet')
    weights = tmp_path / 'detector.pth'
    torch.save(init_model(INSTANCES, device='cpu').state_dict(), weights)
    assert evaluate('--out', tmp_path / 'out', '--show-dir', tmp_path / 'shown', config=INSTANCES,
                    checkpoint=weights, settings=['model.test_cfg.rcnn.score_thr=0.0']) is None
    files = sorted((tmp_path / 'out').glob('*_instances.json'))
    pictures = list((tmp_path / 'shown').glob('*_overlay.png'))
    assert len(files) == len(pictures) == len(list((scenes / 'images/val').glob('*.png')))
    found = json.loads(files[0].read_text())
    assert found and set(found[0]) == {'category', 'score', 'bbox', 'segmentation'}
