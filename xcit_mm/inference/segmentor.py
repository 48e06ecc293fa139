"""A segmentor whose predictions run in any inference mode, wherever a config of mmseg's is used."""
from __future__ import annotations

from collections.abc import Sequence

from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from ..heads.standard import STANDARD_METHODS, is_standard
from .modes import build_mode
from .segmentation import Options, scene_of, scene_of_tensor, segment


@MODELS.register_module()
class BoundedEncoderDecoder(EncoderDecoder):
    """mmseg's ``EncoderDecoder``, but its predictions need bounded memory: the same arguments, weights and training.

    ``test_cfg`` selects how it predicts, in validation, in mmseg's test loop, ``inference_model`` and
    ``MMSegInferencer``::

        test_cfg = dict(mode='auto', max_memory='4GB')

    with ``mode`` (``'auto'``, ``'whole'``, ``'banded'``, ``'slide'`` or another registered mode), ``max_memory``
    (default: what is free), ``statistics`` (default: ``'image'``) and ``return_logits`` (default: False). See
    ``inference_segmentor``. Samples hold ``seg_logits`` only with ``return_logits``: for 150 classes and 24 megapixels,
    they take 14 GB.
    """

    def test_step(self, data: dict) -> list[SegDataSample]:
        """Predict the images of a batch as the data loader gives them, normalising them band by band.

        Args:
            data: ``inputs``, images (3, H, W) BGR, and ``data_samples``.

        Returns:
            See ``predict``.

        Raises:
            InputError: see ``inference_segmentor``.
        """
        samples = data.get('data_samples')
        if not samples or self._predicts_otherwise(samples):
            return super().test_step(data)
        options = Options.of_config(self.test_cfg)
        for image, sample in zip(data['inputs'], samples):
            segment(self, scene_of(self, dict(inputs=image, data_samples=sample)), sample, options)
        device = next(self.parameters()).device
        return [sample.to(device) for sample in samples]

    val_step = test_step

    def predict(self, inputs: Tensor, data_samples: Sequence[SegDataSample] | None = None) -> list[SegDataSample]:
        """Predict each image of a batch.

        Args:
            inputs: (N, 3, H, W), as the preprocessor returns them.
            data_samples: one for each image; they give ``ori_shape``, padding and flip. Without them, the whole
                network input is the image, and logits are returned, as by mmseg.

        Returns:
            The samples with ``pred_sem_seg`` (1, H, W) int64 on the device of the inputs, at ``ori_shape``.

        Raises:
            InputError: see ``inference_segmentor``.
        """
        if data_samples is None or self._predicts_otherwise(data_samples):
            return super().predict(inputs, data_samples)
        options = Options.of_config(self.test_cfg)
        for image, sample in zip(inputs, data_samples):
            segment(self, scene_of_tensor(image, sample.metainfo), sample, options)
        return [sample.to(inputs.device) for sample in data_samples]

    def _predicts_otherwise(self, samples: Sequence[SegDataSample]) -> bool:
        """Return whether mmseg has to predict; raise ``InputError`` if it does not know the mode of the config."""
        if is_standard(self) and not any(map(is_turned_otherwise, samples)):
            return False
        mode = self.test_cfg.get('mode', 'auto')
        if mode not in ('auto', 'whole', 'slide'):
            build_mode(mode).check(self)
        return True

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Return the logits of a batch at once, as mmseg does for its modes ``whole`` and ``slide``."""
        run = self.slide_inference if self.test_cfg.get('mode') == 'slide' else self.whole_inference
        return run(inputs, batch_img_metas)


def is_turned_otherwise(sample: SegDataSample) -> bool:
    """Return whether an image was flipped in another way than left to right."""
    return bool(sample.get('flip')) and sample.get('flip_direction', 'horizontal') != 'horizontal'


STANDARD_METHODS['predict'].add(BoundedEncoderDecoder.predict)
STANDARD_METHODS['inference'].add(BoundedEncoderDecoder.inference)
