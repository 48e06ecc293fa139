"""The tools let users choose statistics, record them, and compare them."""
import argparse
import json
import re

import cv2
import numpy as np
import pytest

from xcit_mm.command_line import StatisticsAction

DIGITS, DETECTOR = 'configs/xcit_upernet_digits.py', 'configs/xcit_mask_rcnn_digits.py'


@pytest.fixture
def photo(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (200, 260, 3), dtype=np.uint8)
    image[:, 130:] //= 8
    cv2.imwrite(str(tmp_path / 'photo.png'), image)
    return tmp_path / 'photo.png'


@pytest.mark.parametrize('words, expected', [
    (['mixture'], 'mixture'), (['mixture', 'kinds=8', 'softness=0.5'], dict(type='mixture', kinds=8, softness=0.5)),
    (['local', 'size=(64, 32)'], dict(type='local', size=(64, 32))),
    (['frozen', 'file=a.b'], dict(type='frozen', file='a.b'))])
def test_the_option_takes_a_name_and_settings(words, expected):
    parser = argparse.ArgumentParser()
    parser.add_argument('--statistics', nargs='+', action=StatisticsAction)
    assert parser.parse_args(['--statistics', *words]).statistics == expected
    with pytest.raises(SystemExit):
        parser.parse_args(['--statistics', 'mixture', '8'])


def test_recorded_statistics_can_be_used(run_here, capsys, tmp_path, weights, photo, scenes):
    def labels(*options):
        arguments = 'infer', DIGITS, weights, photo, '--out', tmp_path / 'out', *options
        assert run_here(*arguments) is None
        return cv2.imread(str(tmp_path / 'out/photo_classes.png'), cv2.IMREAD_UNCHANGED), capsys.readouterr().out

    image, said = labels('--statistics', 'image')
    assert said.endswith('(mode banded, statistics image)\n')
    mixture, said = labels('--statistics', 'mixture')
    assert said.endswith('(mode banded, statistics mixture)\n') and (mixture != image).any()
    auto, said = labels()
    assert said.endswith('(mode banded, statistics image)\n') and (auto == image).all()  # the spread is small
    file = tmp_path / 'own.safetensors'
    assert run_here('record_statistics', DIGITS, weights, photo, '--out', file) is None
    frozen, said = labels('--statistics', 'frozen', f'file={file}')
    assert 'statistics frozen' in said and (frozen != image).mean() < 1e-3
    damaged = tmp_path / 'damaged.png'
    damaged.write_bytes(b'no image')
    training = tmp_path / 'training.safetensors'
    failed = run_here('record_statistics', DIGITS, weights, scenes / 'images/train', damaged, '--out', training)
    assert 'cannot process 1 of 9 images' in failed and training.exists()  # of the other images
    other, _ = labels('--statistics', 'frozen', f'file={training}')
    assert (other != image).any()
    for wrong in ('kinds', 'local size=3', f'frozen file={photo}'):
        assert run_here('infer', DIGITS, weights, photo, '--out', tmp_path / 'none', '--statistics', *wrong.split())


def test_evaluation_uses_the_statistics(run_here, tmp_path, weights, scenes):
    found = []
    for name in ('image', 'local size=(32,32)'):
        assert run_here('test', DIGITS, weights, '--work-dir', tmp_path / 'run', '--statistics', *name.split(),
                        '--out', tmp_path / name, '--cfg-options', f'data_root={scenes}') is None
        found.append(cv2.imread(str(tmp_path / name / '00000.png'), cv2.IMREAD_UNCHANGED))
    assert (found[0] != found[1]).any()
    assert '--statistics' in run_here('test', DETECTOR, weights, '--work-dir', tmp_path, '--statistics', 'image')


def test_comparison_can_be_continued(run_here, capsys, tmp_path, weights, scenes):
    arguments = ['compare_statistics', DIGITS, weights, '--out', tmp_path / 'out.json', '--contents', 'whole images',
                 '--cfg-options', f'data_root={scenes}', '--views']
    assert run_here(*arguments, 'image', 'windows') is None
    capsys.readouterr()
    assert run_here(*arguments, 'image', 'mixture {"kinds": 2}', 'image flips', '--picture', tmp_path / 'a.png') is None
    said = capsys.readouterr().out
    assert 'whole images 1 2 mixture' in said and not re.search(r'whole images 1 2 image \d', said)
    rows = json.loads((tmp_path / 'out.json').read_text())['results']
    scores = {row['view']: row['mean_iou'] for row in rows}
    assert len(rows) == len(scores) == 4
    assert scores['image'] == scores['windows'] > 0  # each image is one window
    assert cv2.imread(str(tmp_path / 'a.png')) is not None
