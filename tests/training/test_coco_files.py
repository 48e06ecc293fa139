"""Training starts only if the COCO categories match the config's classes by name."""
import json
from shutil import copytree

import numpy as np
import pytest
from detection import HAS_MMDET, needs_mmdet
from mmengine.config import Config
from mmengine.registry import DefaultScope

from xcit_mm.config import load_config
from xcit_mm.errors import InputError
from xcit_mm.training import coco_files
from xcit_mm.training.runner import StrictRunner

pytestmark = needs_mmdet
if HAS_MMDET:
    import mmdet.datasets
    import mmdet.evaluation
    from mmdet.datasets.api_wrappers import COCO


@pytest.fixture
def annotated(scenes, tmp_path):
    """Return a function that copies the scenes, changes their annotation files and returns the config."""

    def make(change):
        root = copytree(scenes, tmp_path / 'digits')
        for path in (root / 'annotations').iterdir():
            content = json.loads(path.read_text())
            change(content)
            path.write_text(json.dumps(content))
        return load_config('configs/xcit_mask_rcnn_digits.py', {
            'data_root': str(root), 'train_dataloader.num_workers': 0, 'train_dataloader.batch_size': 2})

    return make


def build(config, part='train_dataloader'):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return StrictRunner.build_dataloader(config[part]).dataset


def rotate(content):
    """List the categories in a different order and give them ids that are not in ascending order."""
    content['categories'] = content['categories'][3:] + content['categories'][:3]
    ids = {category['id']: 100 - category['id'] * 7 % 11 for category in content['categories']}
    for category in content['categories']:
        category['id'] = ids[category['id']]
    for annotation in content['annotations']:
        annotation['category_id'] = ids[annotation['category_id']]


def names_of(dataset, content):
    """Return every object's (bounding box, name) twice: as the data set gives it, and as the file does."""
    found = [(tuple(np.round(entry['bbox'], 3)), dataset.metainfo['classes'][entry['bbox_label']])
             for index in range(len(dataset)) for entry in dataset.get_data_info(index)['instances']]
    names = {category['id']: category['name'] for category in content['categories']}
    listed = [((x, y, x + w, y + h), names[entry['category_id']]) for entry in content['annotations']
              for x, y, w, h in [entry['bbox']]]
    return sorted(found), sorted((tuple(np.round(box, 3)), name) for box, name in listed)


@pytest.mark.parametrize('kind', ['CocoDataset', 'Subclass', 'ConcatDataset'])
def test_each_object_is_trained_under_its_own_name(annotated, kind):
    config = annotated(rotate)
    data = config.train_dataloader.dataset
    if kind == 'Subclass':
        data.type = type('Subclass', (mmdet.datasets.CocoDataset, ), {})
    elif kind == 'ConcatDataset':
        config.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[data])
    with open(f'{data.data_root}/{data.ann_file}') as file:
        content = json.load(file)
    dataset = build(config)
    found, listed = names_of(dataset.datasets[0] if kind == 'ConcatDataset' else dataset, content)
    assert len(found) > 10 and found == listed
    assert 'getCatIds' not in vars(COCO)  # the change to mmdet's reader is temporary


def test_perfect_predictions_score_perfectly_in_any_order(annotated):
    config = annotated(rotate)
    dataset = build(config, 'val_dataloader')
    with DefaultScope.overwrite_default_scope('mmdet'):
        evaluator = object.__new__(StrictRunner).build_evaluator(Config(dict(
            e=dict(type='CocoMetric', metric='bbox', classwise=True, ann_file=config.val_evaluator.ann_file))).e)
    metric, = evaluator.metrics
    metric.dataset_meta = dataset.metainfo
    results = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        labels = np.array([entry['bbox_label'] for entry in info['instances']])
        boxes = np.array([entry['bbox'] for entry in info['instances']], np.float32).reshape(-1, 4)
        if index == 0:  # a missed object lowers only the score of its class
            missed, boxes, labels = labels[0], boxes[1:], labels[1:]
        results.append((dict(img_id=info['img_id']), dict(
            img_id=info['img_id'], bboxes=boxes, labels=labels, scores=np.full(len(labels), 0.9))))
    scores = {name.removesuffix('_precision'): score for name, score in metric.compute_metrics(results).items()
              if name.endswith('_precision')}
    present = {name for name, score in scores.items() if not np.isnan(score)}
    assert {name for name in present if scores[name] < 1} == {dataset.metainfo['classes'][missed]}


def rename(old, new):
    def change(content):
        for category in content['categories']:
            category['name'] = new if category['name'] == old else category['name']

    return change


def first(kind, key, value=None):
    """Return a function that changes or removes a key in the second entry of a list."""
    def change(content):
        if value is None:
            del content[kind][1][key]
        else:
            content[kind][1][key] = value

    return change


@pytest.mark.parametrize('change, words', [
    (rename('4', 'four'), "instances_train.json: it has no category '4'; .*classes: '0', .*'3', 'four', '5'"),
    (rename('4', '4 '), "no category '4'; .*categories: .*'4 '"),
    (rename('4', '5'), "no category '4'"),
    (lambda content: content['categories'].append(dict(id=77, name='5')), "'5' occurs twice"),
    (first('images', 'height'), 'image .* lacks height; complete the file'),
    (first('images', 'width', '12'), "image .* has width='12'"),
    (first('annotations', 'bbox'), 'annotation .* lacks bbox'),
    (first('annotations', 'area'), 'annotation .* lacks area'),
    (first('annotations', 'segmentation'), r'cannot load masks from .*train.json: annotation \d+ has no usable seg'),
    (first('annotations', 'segmentation', [[1, 2, 3, 4]]), r'annotation \d+ has no usable segmentation; complete'),
    (first('annotations', 'segmentation', dict(size=[128, 128])), r'annotation \d+ has no usable segmentation'),
    (first('annotations', 'category_id', 12345), 'annotation .* has category_id 12345, but no category'),
    (lambda content: content.pop('categories'), 'has no list of categories'),
])
def test_error_names_the_file_and_what_it_lacks(annotated, change, words):
    config = annotated(change)
    with pytest.raises(InputError, match=words) as error:
        build(config)
    assert '\n' not in str(error.value)


def test_classes_without_a_comma_are_refused(annotated):
    config = annotated(lambda content: None)
    config.train_dataloader.dataset.metainfo = dict(classes=('cell'))
    with pytest.raises(InputError, match=r"classes='cell': it is a text, .*write classes=\('cell', \) with a comma"):
        build(config)


def test_categories_beyond_the_classes_are_reported(annotated, monkeypatch):
    logged = []
    monkeypatch.setattr(coco_files, 'print_log', lambda message, *args: logged.append(message))
    dataset = build(annotated(lambda content: content['categories'].insert(0, dict(id=99, name='other'))))
    assert dataset.cat2label[99 - 98] == 0 and "the objects of 'other' are ignored" in logged[0]


def test_annotations_without_an_image_are_reported(annotated, monkeypatch):
    logged = []
    monkeypatch.setattr(coco_files, 'print_log', lambda message, *args: logged.append(message))
    build(annotated(first('annotations', 'image_id', 12345)))
    assert any('train.json: 1 annotations (for example, 2) are ignored' in message for message in logged)


def test_an_image_of_another_size_than_listed_is_refused(annotated):
    dataset = build(annotated(lambda content: content['images'][0].update(height=20)))
    with pytest.raises(InputError, match='00000.png: it is 128 x 128, but the annotation file says 128 x 20'):
        dataset[0]
