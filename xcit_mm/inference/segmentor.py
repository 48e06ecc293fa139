"""A segmentor that can predict in any inference mode, in every mmseg tool that runs its config."""
from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from ..heads.standard import STANDARD_METHODS, is_standard
from .file_scenes import FileScenes
from .modes import build_mode
from .scene import scene_of, scene_of_tensor
from .segmentation import Options, segment
from .sources import ReadOptions


@MODELS.register_module()
class BoundedEncoderDecoder(EncoderDecoder):
    """mmseg's ``EncoderDecoder`` with prediction in bounded memory. Arguments, weights and training are unchanged.

    ``test_cfg`` controls prediction in validation, in mmseg's test loop, in ``inference_model`` and in
    ``MMSegInferencer``::

        test_cfg = dict(mode='auto', max_memory='4GB')

    These keys can be set (see ``inference_segmentor``):

    - ``mode``: a registered mode, e.g. ``'auto'``, ``'whole'``, ``'banded'`` or ``'slide'``.
    - ``max_memory``. Default: all free memory.
    - ``statistics``. Default: ``'auto'``.
    - ``precision``. Default: ``'float32'``.
    - ``return_logits``. Default: False, because ``seg_logits`` take up 14 GB for 150 classes and 24 megapixels.
    """

    def test_step(self, data: dict) -> list[SegDataSample]:
        """Segment each image in a batch from the data loader, normalising it band by band.

        Args:
            data: ``inputs``, a list of images (3, H, W) BGR, and ``data_samples``. Without ``inputs``, the samples name
                rasters, ``img_path``, and their ``bands``, which are read a few rows at a time.

        Returns:
            See ``predict``.

        Raises:
            InputError: see ``inference_segmentor``.
        """
        samples = data.get('data_samples')
        if 'inputs' not in data:
            return [segment_raster(self, sample, Options.of_config(self.test_cfg)) for sample in data['data_samples']]
        if not samples or self._predicts_otherwise():
            return super().test_step(data)
        options = Options.of_config(self.test_cfg)
        for image, sample in zip(data['inputs'], samples):
            data = dict(inputs=image, data_samples=sample)
            segment(self, partial(scene_of, self, data), sample, options)
        device = next(self.parameters()).device
        return [sample.to(device) for sample in samples]

    val_step = test_step

    def predict(self, inputs: Tensor, data_samples: Sequence[SegDataSample] | None = None) -> list[SegDataSample]:
        """Segment each image in a batch.

        Args:
            inputs: (N, 3, H, W), as the preprocessor returns them.
            data_samples: one for each image, with ``ori_shape``, padding and flip. Without them, inputs are
                treated as unpadded images, and logits are returned, as in mmseg.

        Returns:
            The samples with ``pred_sem_seg`` (1, H, W) int64 on the device of the inputs, at ``ori_shape``.

        Raises:
            InputError: see ``inference_segmentor``.
        """
        if data_samples is None or self._predicts_otherwise():
            return super().predict(inputs, data_samples)
        options = Options.of_config(self.test_cfg)
        for image, sample in zip(inputs, data_samples):
            segment(self, partial(scene_of_tensor, image, sample.metainfo), sample, options)
        return [sample.to(inputs.device) for sample in data_samples]

    def _predicts_otherwise(self) -> bool:
        """Return whether a subclass overrides prediction; raise ``InputError`` if the config's mode would bypass it."""
        if is_standard(self):
            return False
        mode = self.test_cfg.get('mode', 'auto')
        if mode not in ('auto', 'whole', 'slide'):
            build_mode(mode).check(self)
        return True

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Return the logits of a whole batch, as in mmseg's modes ``whole`` and ``slide``."""
        run = self.slide_inference if self.test_cfg.get('mode') == 'slide' else self.whole_inference
        return run(inputs, batch_img_metas)


def segment_raster(model: EncoderDecoder, sample: SegDataSample, options: Options) -> SegDataSample:
    """Segment the raster that a sample names, exactly as ``segment_file`` does, and store the labels in the sample.

    Pixels without data get the label that the decode head ignores.
    """
    device, nodata = next(model.parameters()).device, model.decode_head.ignore_index
    with FileScenes(model, Path(sample.img_path), ReadOptions(sample.bands, as_stored=True)) as file:
        labels = torch.full((1, *sample.ori_shape), nodata)
        if (box := file.mask.box) is not None:
            inside = segment(model, file.open, SegDataSample(metainfo=dict(ori_shape=(box.height, box.width))), options)
            labels[0, box.top:box.bottom] = file.mask.to_whole_rows(inside.pred_sem_seg.data[0], 0, nodata)
            sample.set_metainfo({key: inside.get(key) for key in ('mode', 'statistics', 'precision')})
    sample.set_data(dict(pred_sem_seg=PixelData(data=labels)))
    return sample.to(device)


STANDARD_METHODS['predict'].add(BoundedEncoderDecoder.predict)
STANDARD_METHODS['inference'].add(BoundedEncoderDecoder.inference)
