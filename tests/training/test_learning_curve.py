import json

import pytest
from PIL import Image

from xcit_mm.errors import InputError
from xcit_mm.training.learning_curve import draw, plot, read


def write_log(work_dir, folder, records, tail=''):
    file = work_dir / folder / 'vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text('\n'.join(map(json.dumps, records)) + '\n' + tail)


def losses(first, last, value):
    return [dict(loss=value, step=step) for step in range(first, last, 10)]


def test_resumed_run_replaces_the_steps_after_its_start(tmp_path):
    write_log(tmp_path, '1', [*losses(10, 60, 3.0), dict(mIoU=50.0, step=40)], tail='{"loss": 2.9, "st')
    write_log(tmp_path, '2', losses(45, 100, 1.0))
    write_log(tmp_path, '3', [dict(mIoU=60.0, step=0)])  # written by an evaluation
    records = read(tmp_path)
    assert [r['step'] for r in records if 'loss' in r] == [10, 20, 30, 40, *range(45, 100, 10)]
    assert [r for r in records if 'mIoU' in r] == [dict(mIoU=50.0, step=40)]


def test_fresh_run_replaces_an_earlier_one(tmp_path):
    write_log(tmp_path, '1', losses(10, 200, 3.0))
    write_log(tmp_path, '2', losses(10, 60, 1.0))
    assert read(tmp_path) == losses(10, 60, 1.0)


def test_error_names_a_folder_without_a_training_log(tmp_path):
    write_log(tmp_path, '1', [dict(mIoU=60.0, step=0)])
    with pytest.raises(InputError, match=f'{tmp_path} contains no training log'):
        read(tmp_path)


@pytest.mark.parametrize('name', ['curve.png', 'curve'])
def test_plot_writes_a_complete_png_or_nothing(tmp_path, name):
    records = [*losses(10, 60, 3.0), dict(mIoU=50.0, step=40)]
    plot(records, 'mIoU', tmp_path / 'new' / name)
    assert Image.open(tmp_path / 'new' / name).format == 'PNG'
    assert [path.name for path in (tmp_path / 'new').iterdir()] == [name]
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match=f'cannot write .*file/{name}'):
        plot(records, 'mIoU', tmp_path / 'file' / name)


@pytest.mark.parametrize('metric, top, label', [
    ('mIoU', 100, 'validation mIoU (%)'), ('coco/bbox_mAP', 1, 'validation coco/bbox_mAP'),
    ('coco/AR@100', 1, 'validation coco/AR@100'), ('coco_panoptic/PQ', 100, 'validation coco_panoptic/PQ (%)')])
def test_metric_axis_spans_the_range_of_the_metric(metric, top, label):
    _, axis = draw([*losses(10, 60, 3.0), {metric: 0.5, 'step': 40}], metric).axes
    assert axis.get_ylim() == (0, top) and axis.get_ylabel() == label
