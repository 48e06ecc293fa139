"""A changed COCO file gives a data set with the objects in the file, or a one-line error."""
import copy
import json
from collections import Counter

import pytest
from detection import needs_mmdet
from fuzzing import VALUES, refuses
from hypothesis import given
from hypothesis import strategies as st

from xcit_mm.config import load_config
from xcit_mm.training.runner import StrictRunner

pytestmark = needs_mmdet


@pytest.fixture(scope='module')
def annotated(scenes, tmp_path_factory):
    """Return the contents of a COCO file, and a function that builds a data set from modified contents."""
    from mmengine.registry import DefaultScope

    folder = tmp_path_factory.mktemp('coco')
    content = json.loads((scenes / 'annotations/instances_train.json').read_text())
    config = load_config('configs/xcit_mask_rcnn_digits.py', {
        'data_root': str(scenes), 'train_dataloader.num_workers': 0})
    loader = config.train_dataloader
    loader.dataset.ann_file = str(folder / 'changed.json')

    def build(changed):
        (folder / 'changed.json').write_text(json.dumps(changed))
        with DefaultScope.overwrite_default_scope('mmdet'):
            dataset = StrictRunner.build_dataloader(loader).dataset
        names = {category['id']: category['name'] for category in changed['categories']}
        listed = Counter(names[entry['category_id']] for entry in changed['annotations'])
        loaded = Counter(dataset.metainfo['classes'][each['bbox_label']] for index in range(len(dataset))
                         for each in dataset.get_data_info(index)['instances'])
        assert loaded <= listed  # mmdet drops objects that are too small, and some images entirely

    return content, build


@st.composite
def changes(draw, content):
    """Return the content after one or two changes to its parts, to their entries or to the keys of an entry."""
    changed = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 2))):
        part = draw(st.sampled_from(['images', 'annotations', 'categories']))
        entries = changed.get(part)
        kind = draw(st.sampled_from(['drop key', 'set', 'drop', 'repeat', 'rename', 'part']))
        if kind == 'part':
            changed[part] = draw(VALUES.filter(is_json))
        elif isinstance(entries, list) and entries and isinstance(entries[0], dict):
            entry = draw(st.sampled_from(entries))
            if kind == 'drop':
                entries.remove(entry)
            elif kind == 'repeat':
                entries.append(copy.deepcopy(entry))
            elif isinstance(entry, dict) and entry:
                key = draw(st.sampled_from(sorted(entry)))
                if kind == 'drop key':
                    del entry[key]
                elif kind == 'set':
                    entry[key] = draw(VALUES.filter(is_json))
                else:
                    entry[draw(st.text(max_size=5))] = entry.pop(key)
    return changed


def is_json(value):
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


@given(st.data())
def test_changed_files(annotated, data):
    content, build = annotated
    refuses(build, data.draw(changes(content)))
