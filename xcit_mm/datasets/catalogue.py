"""Catalogue of the data sets that ``tools/prepare_dataset.py`` prepares: their sources, terms and layouts."""
from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import cityscapes, nuclei
from .archives import Archive


@dataclass(frozen=True)
class DataSet:
    """A data set and how to prepare it.

    Attributes:
        root: folder where our configs expect it.
        page: its web page; for archives without a URL, the page on which to log in and download them.
        licence: licence, and anything else to know before downloading.
        layout: number of files for each pattern: see ``first_difference``.
        archives: zip files that contain it.
        complete: function that derives missing files from the other files in a folder.
        make: function that writes a data set without archives to a folder, unless it is there already, and returns
            whether it wrote anything.
    """
    root: str
    page: str
    licence: str
    layout: dict[str, int]
    archives: tuple[Archive, ...] = ()
    complete: Callable[[Path], None] | None = None
    make: Callable[[Path], bool] | None = None


def _make_digits(root: Path) -> bool:
    from . import digits  # needs packages that nothing else uses

    return digits.prepare(root)


def _masked(train: int, val: int) -> dict[str, int]:
    """Return the layout that ``write_split`` produces."""
    counts = dict(train=train, val=val)
    return {f'{kind}/{split}/*.png': count for split, count in counts.items() for kind in ('images', 'masks')} | {
        f'annotations/instances_{split}.json': 1 for split in counts}


ADE20K = DataSet(
    root='data/ade/ADEChallengeData2016',
    page='https://groups.csail.mit.edu/vision/datasets/ADE20K/terms',
    licence='images: non-commercial research and education; annotations: BSD 3-clause',
    layout={'images/training/*.jpg': 20210, 'annotations/training/*.png': 20210,
            'images/validation/*.jpg': 2000, 'annotations/validation/*.png': 2000},
    archives=(Archive(
        'ADEChallengeData2016.zip', 'http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip',
        'md5:7328b3957e407ddae1d3cbf487f149ef', {'ADEChallengeData2016/': ''}), ))

COCO = DataSet(
    root='data/coco',
    page='https://cocodataset.org/#termsofuse',
    licence="annotations: CC BY 4.0; images: Flickr's terms of use, and each photographer's licence",
    layout={'train2017/*.jpg': 118287, 'val2017/*.jpg': 5000,
            'annotations/instances_train2017.json': 1, 'annotations/instances_val2017.json': 1},
    archives=(
        Archive('annotations_trainval2017.zip',
                'http://images.cocodataset.org/annotations/annotations_trainval2017.zip',
                'md5:f4bbac642086de4f52a3fdda2de5fa2c', {'annotations/': 'annotations/'}),
        Archive('val2017.zip', 'http://images.cocodataset.org/zips/val2017.zip',
                'md5:442b8da7639aecaf257c1dceb8ba8c80', {'val2017/': 'val2017/'}),
        Archive('train2017.zip', 'http://images.cocodataset.org/zips/train2017.zip',
                'md5:cced6f7f71b7629ddf16f17bbcfab6b2', {'train2017/': 'train2017/'})))

CITYSCAPES = DataSet(
    root='data/cityscapes',
    page='https://www.cityscapes-dataset.com/downloads',
    licence='non-commercial use; requires an account: https://www.cityscapes-dataset.com/license',
    layout={f'{folder}/{split}/*/*_{kind}.png': count for split, count in (('train', 2975), ('val', 500))
            for folder, kind in (('leftImg8bit', 'leftImg8bit'), ('gtFine', 'gtFine_labelTrainIds'))},
    archives=(Archive('leftImg8bit_trainvaltest.zip', None, moves={'leftImg8bit/': 'leftImg8bit/'}),
              Archive('gtFine_trainvaltest.zip', None, moves={'gtFine/': 'gtFine/'})),
    complete=cityscapes.make_train_ids)

LOVEDA = DataSet(
    root='data/loveDA',
    page='https://zenodo.org/records/5706578',
    licence='CC BY-NC-SA 4.0; images from Google Earth: academic use only',
    layout={'img_dir/train/*.png': 2522, 'ann_dir/train/*.png': 2522,
            'img_dir/val/*.png': 1669, 'ann_dir/val/*.png': 1669},
    archives=tuple(
        Archive(f'{split}.zip', f'https://zenodo.org/records/5706578/files/{split}.zip?download=1', checksum,
                {f'{split}/{land}/{kind}_png/': f'{folder}/{split.lower()}/' for land in ('Rural', 'Urban')
                 for kind, folder in (('images', 'img_dir'), ('masks', 'ann_dir'))})
        for split, checksum in (('Train', 'md5:de2b196043ed9b4af1690b3f9a7d558f'),
                                ('Val', 'md5:84cae2577468ff0b5386758bb386d31d'))))

NUCLEI = DataSet(
    root=os.environ.get('XCIT_MM_NUCLEI_ROOT', 'data/dsb2018_nuclei'),
    page='https://bbbc.broadinstitute.org/BBBC038',
    licence='CC0 1.0',
    layout=_masked(train=434, val=108),
    archives=(Archive(
        'stage1_train.zip', 'https://data.broadinstitute.org/bbbc/BBBC038/stage1_train.zip',
        convert=nuclei.convert), ))  # the Broad Institute publishes no checksum

DIGITS = DataSet(
    root='data/digits',
    page='https://scikit-learn.org, https://scikit-image.org',
    licence='composed locally from images that these packages ship',
    layout=_masked(train=4000, val=200),
    make=_make_digits)

CATALOGUE = dict(ade20k=ADE20K, coco=COCO, cityscapes=CITYSCAPES, loveda=LOVEDA, nuclei=NUCLEI, digits=DIGITS)
