import json

import cv2
import numpy as np
import pytest

from xcit_mm.datasets import digits
from xcit_mm.errors import InputError

FEW = dict(train=6, val=3)


def decode(segmentation):
    height, width = segmentation['size']
    values = np.arange(len(segmentation['counts'])) % 2
    return np.repeat(values, segmentation['counts']).reshape(width, height).T.astype(bool)


def test_splits_share_no_scan_and_no_photograph():
    for load in (digits.load_photographs, lambda split: digits.load_scans(split)[0]):
        train, val = ({one.tobytes() for one in load(split)} for split in digits.SPLITS)
        assert train and val and not train & val
    assert digits.NUM_SCENES['train'] >= 1000 and digits.NUM_SCENES['val'] >= 200


def test_scenes_depend_only_on_seed_and_index():
    once, again = (list(digits.compose_scenes('train', count, seed=3)) for count in (4, 2))
    assert all(np.array_equal(a.image, b.image) and np.array_equal(a.mask, b.mask) for a, b in zip(once, again))
    other = next(digits.compose_scenes('train', 1, seed=4))
    assert not np.array_equal(once[0].image, other.image)
    assert not np.array_equal(once[0].image, next(digits.compose_scenes('val', 1, seed=3)).image)


def test_labels_agree_and_digits_are_visible():
    for scene in digits.compose_scenes('val', 20):
        assert scene.instances
        rebuilt = np.zeros_like(scene.mask)
        for label, mask in scene.instances:
            assert 1 <= label <= 10 and mask.any() and not rebuilt[mask].any()
            rebuilt[mask] = label
            around = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool) & (scene.mask == 0)
            assert scene.image[mask].mean() - scene.image[around].mean() > digits.MIN_CONTRAST / 2
        assert np.array_equal(rebuilt, scene.mask)


def test_files_contain_the_scenes(tmp_path):
    root = tmp_path / 'digits'
    assert digits.prepare(root, FEW)
    for split, count in FEW.items():
        scenes = list(digits.compose_scenes(split, count))
        coco = json.loads((root / f'annotations/instances_{split}.json').read_text())
        assert len(coco['images']) == count and [c['id'] for c in coco['categories']] == list(range(1, 11))
        for info, scene in zip(coco['images'], scenes):
            image = cv2.imread(str(root / 'images' / split / info['file_name']))
            mask = cv2.imread(str(root / 'masks' / split / info['file_name']), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(image[..., ::-1], scene.image) and np.array_equal(mask, scene.mask)
            rebuilt = np.zeros_like(mask)
            for one in coco['annotations']:
                if one['image_id'] == info['id']:
                    instance = decode(one['segmentation'])
                    x, y, width, height = one['bbox']
                    assert instance.sum() == one['area'] == instance[y:y + height, x:x + width].sum()
                    assert instance[:, x].any() and instance[y].any()
                    rebuilt[instance] = one['category_id']
            assert np.array_equal(rebuilt, mask)
    assert not digits.prepare(root, FEW)  # already there


def test_interrupted_run_leaves_no_data_set(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(digits, 'write_split', interrupt)
        with pytest.raises(KeyboardInterrupt):
            digits.prepare(tmp_path / 'digits', FEW)
    assert not (tmp_path / 'digits').exists()
    assert digits.prepare(tmp_path / 'digits', FEW)


@pytest.mark.parametrize('name, value', [
    ('SCENE_SIZE', 96), ('DIGITS_PER_SCENE', (1, 2)), ('DIGIT_SIZE', (20, 30)), ('DIMMING', 0.3),
    ('MIN_CONTRAST', 20), ('FIRST_HELD_OUT_SCAN', 1000), ('PHOTOGRAPHS', dict(train=('coins', ), val=('camera', )))])
def test_new_recipe_replaces_the_data(tmp_path, monkeypatch, capsys, name, value):
    few = dict(train=1, val=1)
    monkeypatch.setattr(digits, 'PHOTOGRAPHS', dict(train=('moon', ), val=('camera', )))
    assert digits.prepare(tmp_path / 'digits', few)
    monkeypatch.setattr(digits, name, value)
    assert digits.prepare(tmp_path / 'digits', few) and 'another recipe' in capsys.readouterr().out
    image = cv2.imread(str(tmp_path / 'digits/images/train/00000.png'))[..., ::-1]
    assert np.array_equal(image, next(digits.compose_scenes('train', 1)).image)
    assert not digits.prepare(tmp_path / 'digits', few)
    assert [path.name for path in tmp_path.iterdir()] == ['digits']
    assert not (tmp_path / 'digits/replaced').exists()


@pytest.mark.parametrize('content', [
    None, 'not JSON', '[1]', '{"name": "letters"}', json.dumps(dict(name='digits', seed=1, num_scenes=FEW))])
def test_prepare_refuses_a_folder_with_other_content(tmp_path, content):
    if content:
        (tmp_path / 'recipe.json').write_text(content)
    with pytest.raises(InputError, match='cannot write digits to .*: it holds other data or extra files; remove it'):
        digits.prepare(tmp_path, FEW)


def test_prepare_never_deletes_a_foreign_file(tmp_path, monkeypatch):
    root = tmp_path / 'digits'
    digits.prepare(root, FEW)
    (root / 'notes.txt').touch()
    assert not digits.prepare(root, FEW)
    monkeypatch.setattr(digits, 'DIMMING', 0.3)
    with pytest.raises(InputError, match='it holds other data or extra files'):
        digits.prepare(root, FEW)
    assert (root / 'notes.txt').exists()


def test_error_names_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='cannot create .*/file/digits'):
        digits.prepare(tmp_path / 'file/digits', FEW)
    monkeypatch.setattr(cv2, 'imwrite', lambda *args: False)
    with pytest.raises(InputError, match='disk is full'):
        digits.prepare(tmp_path / 'digits', FEW)
