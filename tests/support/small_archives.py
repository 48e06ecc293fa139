"""Small archives laid out like those of the catalogue's data sets, for a local server."""
import hashlib
import io
from dataclasses import replace

import numpy as np
from archive_server import zipped
from PIL import Image

from xcit_mm.datasets.catalogue import CATALOGUE

CITY = '{0}/{1}/ulm/ulm_000000_000019_{2}.png'
MEMBERS = {  # data set -> archive -> names of its entries
    'ade20k': {'ADEChallengeData2016.zip': [
        'ADEChallengeData2016/images/training/ADE_train_00000001.jpg',
        'ADEChallengeData2016/annotations/training/ADE_train_00000001.png',
        'ADEChallengeData2016/images/validation/ADE_val_00000001.jpg',
        'ADEChallengeData2016/annotations/validation/ADE_val_00000001.png', 'ADEChallengeData2016/objectInfo150.txt']},
    'coco': {
        'annotations_trainval2017.zip': ['annotations/instances_train2017.json', 'annotations/instances_val2017.json',
                                         'annotations/captions_val2017.json'],
        'val2017.zip': ['val2017/000000000139.jpg'], 'train2017.zip': ['train2017/000000000009.jpg']},
    'cityscapes': {
        f'{folder}_trainvaltest.zip': [CITY.format(folder, split, kind) for split in ('train', 'val')]
        for folder, kind in (('leftImg8bit', 'leftImg8bit'), ('gtFine', 'gtFine_labelIds'))},
    'loveda': {f'{split}.zip': [f'{split}/{land}/{kind}_png/{number}.png' for kind in ('images', 'masks')
                                for number, land in enumerate(('Rural', 'Urban'))] for split in ('Train', 'Val')}}


def small_set(server, name):
    """Put small archives of a data set on the server, and return its catalogue entry with their URLs."""
    dataset = CATALOGUE[name]
    if name == 'nuclei':
        zips, counts = {'stage1_train.zip': zipped(bowl_entries(5))}, [4, 4, 1, 1, 1, 1]
    else:
        content = png(np.full((4, 4), 7, np.uint8))
        zips = {archive: zipped({member: content for member in members})
                for archive, members in MEMBERS[name].items()}
        counts = [2 if name == 'loveda' else 1] * 4
    server.files.update({f'/{archive}': content for archive, content in zips.items()})
    return replace(dataset, layout=dict(zip(dataset.layout, counts)), archives=tuple(
        replace(archive, url=archive.url and f'{server.url}/{archive.name}',
                checksum=archive.checksum and f'md5:{hashlib.md5(zips[archive.name]).hexdigest()}')
        for archive in dataset.archives))


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    return file.getvalue()


def bowl_entries(count, side=40):
    """Return the entries of a ``stage1_train.zip``; image i has grey value i and nuclei of 2 x 3 and 4 x 4 px."""
    members = {}
    for i in range(count):
        name = f'{i:02d}ab'
        members[f'{name}/images/{name}.png'] = png(np.full((side, side + 1, 4), i, np.uint8))
        for number, place in enumerate((np.s_[1:3, 2:5], np.s_[10:14, 20:24])):
            mask = np.zeros((side, side + 1), np.uint8)
            mask[place] = 255
            members[f'{name}/masks/{name}-{number}.png'] = png(mask)
    return members
