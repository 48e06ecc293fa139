"""Check COCO annotation files before training, and match their categories to classes by name."""
from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.logging import print_log

from ..classes import list_names, require_names
from ..errors import InputError, describe_value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_length(value: Any) -> bool:
    return _is_number(value) and value >= 1


def _is_box(value: object) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


def _is_id(value: object) -> bool:
    return isinstance(value, (int, str))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


# The keys that every entry needs, with a test for each value
REQUIRED: dict[str, dict[str, Callable[[object], bool]]] = dict(
    images=dict(id=_is_id, file_name=_is_text, height=_is_length, width=_is_length),
    categories=dict(id=_is_id, name=_is_text),
    annotations=dict(id=_is_id, image_id=_is_id, category_id=_is_id, bbox=_is_box, area=_is_number))
# The same for optional keys
OPTIONAL: dict[str, dict[str, Callable[[object], bool]]] = dict(
    annotations=dict(segmentation=lambda value: isinstance(value, (list, dict)),
                     iscrowd=lambda value: value in (0, 1), ignore=lambda value: value in (0, 1)))


@contextmanager
def matched_by_name(config: object) -> Iterator[dict[str, object]]:
    """Make mmdet's COCO reader check each file and put category ids in the order of the given class names.

    mmdet keeps the file's order, so with a file in a different order, each class would be trained under a wrong name.

    Args:
        config: the config of the object built in this context; mmdet is imported only if it is mentioned there.

    Yields:
        A dict from each file that contains an object without a mask to the id of the first such annotation.

    Raises:
        InputError: a file is incomplete, or its categories do not include every class.
    """
    maskless: dict[str, object] = {}
    if 'mmdet' not in sys.modules and 'mmdet' not in str(config):
        yield maskless
        return
    from mmdet.datasets.api_wrappers import COCO

    changed = dict(__init__=_reading(COCO.__init__), createIndex=_checking(COCO.createIndex, maskless),
                   getCatIds=_by_name(COCO.getCatIds))
    before = {name: vars(COCO).get(name) for name in changed}
    for name, method in changed.items():
        setattr(COCO, name, method)
    try:
        yield maskless
    finally:
        for name, method in before.items():
            if method is None:
                delattr(COCO, name)
            else:
                setattr(COCO, name, method)


def category_ids(dataset: dict, names: Sequence[str], file: str) -> list:
    """Return the ids of the categories with these names, in this order.

    Args:
        dataset: content of the file.
        names: the classes of the config.
        file: the file's name, for errors.

    Raises:
        InputError: a name is missing, or two categories or classes share a name.
    """
    require_names(dict(classes=names))
    given = [category['name'] for category in dataset['categories']]
    missing = [name for name in names if name not in given]
    repeated = [name for name in names if given.count(name) > 1 or list(names).count(name) > 1]
    if missing or repeated:
        why = (f'it has no category {missing[0]!r}' if missing else f'{repeated[0]!r} occurs twice')
        raise InputError(f'cannot match the classes with {file}: {why}; make the names equal (classes: '
                         f'{list_names(names)}; categories: {list_names(given)})')
    others = [name for name in given if name not in names]
    if others:
        print_log(f'{file}: the objects of {list_names(others)} are ignored, because the config does not list these '
                  'classes', 'current', logging.WARNING)
    return [dataset['categories'][given.index(name)]['id'] for name in names]


def check(dataset: Any, file: str) -> object:
    """Check that a COCO file is complete.

    Returns:
        The id of the first object without a usable ``segmentation``, or None if every object has one.

    Raises:
        InputError: an entry is incomplete or invalid, or refers to something that does not exist.
    """
    for kind in REQUIRED:
        if kind not in dataset and kind == 'annotations':  # a test set
            return None
        entries = dataset.get(kind)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise InputError(f'cannot use {file}: it has no list of {kind}; export it in COCO format')
        _check_entries(entries, kind, file)
    categories, images = ({entry['id'] for entry in dataset[kind]} for kind in ('categories', 'images'))
    annotations = dataset['annotations']
    for entry in annotations:
        if entry['category_id'] not in categories:
            raise InputError(f'cannot use {file}: annotation {entry["id"]} has category_id '
                             f'{entry["category_id"]!r}, but no category has this id; add the category')
    if annotations and images and not any(entry['image_id'] in images for entry in annotations):
        raise InputError(f'cannot use {file}: no image has the image_id of an annotation (for example, '
                         f'{annotations[0]["image_id"]!r}); use the same ids for both')
    orphans = [entry['id'] for entry in annotations if entry['image_id'] not in images]
    if orphans and images:
        print_log(f'{file}: {len(orphans)} annotations (for example, {orphans[0]!r}) are ignored, because the file '
                  'lists no image with their image_id', 'current', logging.WARNING)
    return next((entry['id'] for entry in annotations if not _has_mask(entry) and _is_used(entry)), None)


def _check_entries(entries: list[dict], kind: str, file: str) -> None:
    name, ids = 'category' if kind == 'categories' else kind[:-1], set()
    for index, entry in enumerate(entries):
        label = f'{name} {entry["id"]}' if 'id' in entry else f'{name} number {index + 1}'
        lacking = [key for key in REQUIRED[kind] if entry.get(key) is None]
        if lacking:
            raise InputError(f'cannot use {file}: {label} lacks {", ".join(lacking)}; complete the file')
        for key, is_valid in (REQUIRED[kind] | OPTIONAL.get(kind, {})).items():
            if entry.get(key) is not None and not is_valid(entry[key]):
                raise InputError(f'cannot use {file}: {label} has {key}={describe_value(entry[key])}; correct the file')
        if entry['id'] in ids:
            raise InputError(f'cannot use {file}: {label} occurs twice; number each {name} differently')
        ids.add(entry['id'])


def _has_mask(annotation: dict) -> bool:
    """Return whether mmdet can read an annotation's mask; it ignores the object otherwise."""
    mask = annotation.get('segmentation')
    if isinstance(mask, dict):
        return bool(mask.get('counts') and mask.get('size'))
    return any(isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in mask or ())


def _is_used(annotation: dict) -> bool:
    """Return whether mmdet uses an annotation; it drops empty and ignored ones."""
    return annotation['area'] > 0 and min(annotation['bbox'][2:]) >= 1 and not annotation.get('ignore')


def _reading(read: Any) -> Any:
    def __init__(self: Any, annotation_file: str | None = None) -> None:
        self.file = str(annotation_file)
        try:
            read(self, annotation_file)
        except (json.JSONDecodeError, UnicodeDecodeError, AssertionError) as error:
            raise InputError(f'cannot read the annotations in {annotation_file}: it is not a COCO file '
                             f'({str(error).splitlines()[0]}); export it again') from None

    return __init__


def _checking(index: Any, maskless: dict[str, object]) -> Any:
    def createIndex(self: Any) -> None:
        first = check(self.dataset, self.file)
        if first is not None:
            maskless[self.file] = first
        index(self)

    return createIndex


def _by_name(find: Any) -> Any:
    def getCatIds(self: Any, catNms: Sequence[str] = (), supNms: Sequence = (), catIds: Sequence = ()) -> list:
        if supNms or catIds or not catNms:
            return find(self, catNms, supNms, catIds)
        return category_ids(self.dataset, catNms, self.file)

    return getCatIds
