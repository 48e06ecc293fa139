"""A sink overwrites only files that an earlier run wrote and that nobody has changed since."""
import json

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from PIL import Image

from xcit_mm.errors import InputError
from xcit_mm.inference.results import (
    ResultMeta,
    build_sinks,
    is_result,
    require_replaceable_results,
    result_file,
    write_labels,
)

CLASSES, PALETTE = ('background', 'nucleus'), [[0, 0, 0], [255, 0, 0]]


def write(folder, kind, name='photo', value=0):
    meta = ResultMeta(name, 20, 30, CLASSES, PALETTE, lambda: [np.zeros((20, 30, 3), np.uint8)])
    sink, = build_sinks([kind])
    if kind == 'coco_json':
        objects = InstanceData(labels=torch.tensor([value]), scores=torch.ones(1), bboxes=torch.ones(1, 4))
        sink.write_objects(folder, objects, meta)
    else:
        write_labels([sink], folder, [torch.full((20, 30), value, dtype=torch.uint8)], meta)
    return [folder / f'{name}{ending}' for ending in sink.endings]


@pytest.mark.parametrize('kind', ['png', 'overlay', 'tiff', 'geojson', 'coco_json'])
def test_a_second_run_replaces_results_but_no_other_file(tmp_path, kind):
    files = write(tmp_path, kind)
    before = files[0].read_bytes()
    assert all(map(is_result, files)) and write(tmp_path, kind, value=1) == files
    assert files[0].read_bytes() != before and all(map(is_result, files))
    for change in (lambda path: path.write_bytes(path.read_bytes() + b' '), lambda path: path.write_text('mine')):
        change(files[0])
        kept = files[0].read_bytes()
        assert not is_result(files[0])
        with pytest.raises(InputError, match=f'cannot write {files[0]}: this file exists and is not an unchanged'):
            write(tmp_path, kind)
        assert files[0].read_bytes() == kept


def test_nothing_is_written_where_one_of_several_files_belongs_to_the_user(tmp_path):
    Image.new('L', (30, 20), 7).save(tmp_path / 'photo_palette.png')
    with pytest.raises(InputError, match='photo_palette.png: this file exists'):
        require_replaceable_results(build_sinks(['png', 'overlay']), tmp_path, 'photo', CLASSES)
    require_replaceable_results(build_sinks(['coco_json']), tmp_path, 'photo', CLASSES)


def test_a_link_is_not_a_result(tmp_path):
    target, = write(tmp_path, 'tiff', 'a')
    (tmp_path / 'b_classes.tif').symlink_to(target)
    (tmp_path / 'c_classes.tif').symlink_to(tmp_path / 'nowhere')
    for name in 'bc':
        with pytest.raises(InputError, match=f'{name}_classes.tif: this file exists'):
            write(tmp_path, 'tiff', name)


def test_results_keep_their_record_when_the_folder_moves(tmp_path):
    write(tmp_path / 'a', 'png', 'sub/photo')
    (tmp_path / 'a').rename(tmp_path / 'b')
    assert is_result(tmp_path / 'b/sub/photo_classes.png')
    (tmp_path / 'b/sub/photo_classes.png').rename(tmp_path / 'b/sub/other.png')
    assert not is_result(tmp_path / 'b/sub/other.png')


def test_an_interrupted_write_leaves_the_result_before(tmp_path):
    def interrupted():
        with result_file(tmp_path / 'a.json') as file:
            file.write_text('[1]')
            raise KeyboardInterrupt

    with result_file(tmp_path / 'a.json') as file:
        file.write_text('[]')
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert json.loads((tmp_path / 'a.json').read_text()) == [] and is_result(tmp_path / 'a.json')
