"""A data set of rasters and their labels."""
from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS
from torch.utils.data import get_worker_info

from ...errors import InputError
from ...inference.sources import Box, RasterFile
from .label_polygons import SUFFIXES, LabelPolygons
from .label_raster import IGNORED, LabelRaster, Labels

TRIES = 1000  # windows to draw until one contains a label


@DATASETS.register_module()
class RasterDataset(BaseSegDataset):
    """Random windows of rasters for training; with ``test_mode``, whole rasters.

    In training, each sample is a new window, drawn uniformly over the area of all rasters; windows without a label are
    drawn again. The index does not matter. The length is the number of windows that cover the rasters once.

    Args:
        pairs: rasters that GDAL reads, each with its labels: a raster of class indices on the same grid, or polygons in
            a GeoPackage, GeoJSON, FlatGeobuf or shapefile. Paths are relative to ``data_root``.
        mean: the value of each band where a raster has no data, as in the data preprocessor.
        bands: numbers of the bands to read, from 1, in the order of the network's channels; by default, all except
            alpha.
        window: height and width of the windows, px. Smaller rasters give smaller windows.
        class_attribute, background: see ``LabelPolygons``.
        options: arguments of ``BaseSegDataset``.

    Raises:
        InputError: there are no pairs or classes, a file cannot be read, or labels do not fit their raster.
    """

    labels_are_sparse = True  # a sample of windows may lack classes that do occur

    def __init__(self, pairs: Sequence[tuple[str, str]], mean: Sequence[float], bands: Sequence[int] = (),
                 window: tuple[int, int] = (512, 512), class_attribute: str = 'class', background: str | None = None,
                 **options: Any) -> None:
        self.pairs, self.mean, self.bands, self.window = pairs, list(map(float, mean)), tuple(bands), window
        self.class_attribute, self.background = class_attribute, background
        self.labels: list[Labels] = []
        self.sizes: list[tuple[int, int]] = []
        self._random: np.random.Generator | None = None
        self._process = 0
        super().__init__(**options)

    def load_data_list(self) -> list[dict]:
        """Check all files, and return the boxes of whole rasters, or of windows that cover them without overlap."""
        classes = self._metainfo.get('classes') or ()
        if not self.pairs or not classes:
            raise InputError('the data set has no rasters or no classes; set train_pairs, val_pairs and classes')
        if len(classes) > IGNORED:
            raise InputError(f'cannot train with {len(classes)} classes: labels of rasters have 8 bits, and {IGNORED} '
                             f'marks pixels without a label; use at most {IGNORED} classes')
        for image, labels in self.pairs:
            path = Path(self.data_root or '', labels)
            with RasterFile(Path(self.data_root or '', image), self.bands, as_stored=True) as source:
                if source.bands != len(self.mean):
                    raise InputError(f'cannot train on {source.path}: {source.bands} of its bands would be read, but '
                                     f'mean has {len(self.mean)} values; choose bands, or set mean and std for each')
                self.sizes.append((source.height, source.width))
                self.labels.append(
                    LabelPolygons(path, source, classes, self.class_attribute, self.background)
                    if path.suffix.lower() in SUFFIXES else LabelRaster(path, source, classes))
        steps = self.sizes if self.test_mode else [self.window] * len(self.sizes)
        return [dict(pair=pair, box=Box(top, min(top + high, height), left, min(left + wide, width)))
                for pair, ((height, width), (high, wide)) in enumerate(zip(self.sizes, steps))
                for top, left in product(range(0, height, high), range(0, width, wide))]

    def get_data_info(self, idx: int) -> dict:
        """Return what the transforms need to read a whole raster or window ``idx`` of those that cover the rasters."""
        info = super().get_data_info(idx)
        return self._describe(info['pair'], info['box']) | dict(sample_idx=info['sample_idx'])

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on raster ``idx``, or in training on a random window.

        Raises:
            InputError: none of the windows drawn contains a label, or a file is damaged.
        """
        if self.test_mode:
            return super().prepare_data(idx)
        for _ in range(TRIES):
            data = self.pipeline(self._describe(*self._draw()))
            if data is not None:
                return data
        raise InputError(f'cannot find a window with labels: {TRIES} random windows of {self.window[0]} x '
                         f'{self.window[1]} pixels contain none; cut the rasters to the labelled area, or set '
                         'background')

    def _describe(self, pair: int, box: Box) -> dict:
        image, labels = (str(Path(self.data_root or '', name)) for name in self.pairs[pair])
        return dict(img_path=image, seg_map_path=labels, labels=self.labels[pair], box=box, bands=self.bands,
                    mean=self.mean, seg_fields=[], label_map=None, reduce_zero_label=False)

    def _draw(self) -> tuple[int, Box]:
        """Draw a raster, with a probability proportional to its area, and a window at any position in it."""
        if self._random is None or self._process != os.getpid():  # a worker must not repeat what its parent draws
            worker = get_worker_info()  # its seed changes with each epoch, but not with the rank
            seed = (worker.seed if worker else torch.initial_seed(), get_rank())
            self._random, self._process = np.random.default_rng(seed), os.getpid()
        areas = np.prod(self.sizes, axis=1, dtype=float)
        pair = int(self._random.choice(len(areas), p=areas / areas.sum()))
        (height, width), (high, wide) = self.sizes[pair], self.window
        top, left = self._random.integers(0, (max(height - high, 0), max(width - wide, 0)), endpoint=True).tolist()
        return pair, Box(top, min(top + high, height), left, min(left + wide, width))
