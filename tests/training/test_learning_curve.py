import json

import pytest
from PIL import Image

from xcit_mm.errors import InputError
from xcit_mm.training.learning_curve import plot, read


def write_log(work_dir, folder, records, tail=''):
    file = work_dir / folder / 'vis_data/scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text('\n'.join(map(json.dumps, records)) + '\n' + tail)


def losses(first, last, value):
    return [dict(loss=value, step=step) for step in range(first, last, 10)]


def test_a_resumed_training_goes_on_where_it_began(tmp_path):
    write_log(tmp_path, '1', [*losses(10, 60, 3.0), dict(mIoU=50.0, step=40)], tail='{"loss": 2.9, "st')
    write_log(tmp_path, '2', losses(45, 100, 1.0))
    write_log(tmp_path, '3', [dict(mIoU=60.0, step=0)])  # an evaluation
    records = read(tmp_path)
    assert [r['step'] for r in records if 'loss' in r] == [10, 20, 30, 40, *range(45, 100, 10)]
    assert [r for r in records if 'mIoU' in r] == [dict(mIoU=50.0, step=40)]


def test_a_fresh_training_replaces_an_earlier_one(tmp_path):
    write_log(tmp_path, '1', losses(10, 200, 3.0))
    write_log(tmp_path, '2', losses(10, 60, 1.0))
    assert read(tmp_path) == losses(10, 60, 1.0)


def test_a_folder_without_training_is_named(tmp_path):
    write_log(tmp_path, '1', [dict(mIoU=60.0, step=0)])
    with pytest.raises(InputError, match=f'no training log in {tmp_path}'):
        read(tmp_path)


@pytest.mark.parametrize('name', ['curve.png', 'curve'])
def test_draws_a_png_completely_or_not_at_all(tmp_path, monkeypatch, name):
    records = [*losses(10, 60, 3.0), dict(mIoU=50.0, step=40)]
    plot(records, 'mIoU', tmp_path / 'new' / name)
    assert Image.open(tmp_path / 'new' / name).format == 'PNG'
    assert [path.name for path in (tmp_path / 'new').iterdir()] == [name]
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match=f'cannot write .*file/{name}'):
        plot(records, 'mIoU', tmp_path / 'file' / name)
