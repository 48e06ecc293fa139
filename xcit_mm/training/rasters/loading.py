"""Transforms that read windows of rasters and of their labels."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ...inference.sources import RasterFile
from .label_raster import IGNORED


@TRANSFORMS.register_module()
class LoadRasterWindow(BaseTransform):
    """Read the window that ``RasterDataset`` has drawn, and its labels.

    Adds ``img`` (H, W, bands), as stored, and ``gt_seg_map`` (H, W) uint8. Where the raster has no data, the label is
    255, and the pixel has the mean of the training data, as in inference; such an image is float32. Returns None if no
    pixel has a label, so that the data set draws another window.

    The raster is opened for each window, because processes cannot share an open one. That takes about a millisecond.
    """

    with_seg = True  # as in LoadAnnotations

    def transform(self, results: dict) -> dict | None:
        """Read a window.

        Raises:
            InputError: a file is damaged or contains a label without a class.
        """
        labels = results['labels'].read(results['box'])
        if (labels == IGNORED).all():
            return None
        with RasterFile(Path(results['img_path']), results['bands'], as_stored=True) as source:
            valid, pixels = source.valid_in(results['box']), source.read_box(results['box'])
        if valid is not None and not valid.all():
            labels[~valid.numpy()] = IGNORED
            if (labels == IGNORED).all():
                return None
            pixels = pixels.float().where(valid[..., None], torch.tensor(results['mean']))
        results.update(img=pixels.numpy(), gt_seg_map=labels, img_shape=labels.shape, ori_shape=labels.shape)
        results['seg_fields'].append('gt_seg_map')
        return results


@TRANSFORMS.register_module()
class LoadRasterLabels(BaseTransform):
    """Read the labels of a whole raster for an evaluation: ``gt_seg_map`` (H, W) uint8, 255 where there are no data.

    The pixels stay in the file, from which ``BoundedEncoderDecoder`` reads a few rows at a time.
    """

    def transform(self, results: dict) -> dict:
        """Read the labels.

        Raises:
            InputError: a file is damaged or contains a label without a class.
        """
        labels: np.ndarray = results['labels'].read(results['box'])
        with RasterFile(Path(results['img_path']), results['bands'], as_stored=True) as source:
            valid = source.valid_in(results['box'])
        if valid is not None:
            labels[~valid.numpy()] = IGNORED
        results.update(gt_seg_map=labels, img_shape=labels.shape, ori_shape=labels.shape)
        results['seg_fields'].append('gt_seg_map')
        return results
