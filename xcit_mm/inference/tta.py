"""Test-time augmentation in bounded memory."""
from __future__ import annotations

from functools import reduce

import torch
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from .choose_statistics import StatisticsFactory, statistics_bytes
from .labels import label_dtype, num_logits, to_labels, to_probabilities, to_scores
from .memory import parse_bytes
from .modes import Budget, build_mode
from .precision import choose_precision, run_in
from .scene import Scene, scene_of
from .segmentation import Options


@MODELS.register_module()
class BoundedTTAModel(SegTTAModel):
    """mmseg's ``SegTTAModel`` for a ``BoundedEncoderDecoder``. It averages probabilities over all augmentations.

    It reads the logits of all augmentations band by band, so the tokens of every augmentation are in memory, but never
    image-sized logits. For a vertical flip, the logits at the head's resolution are in memory as well.
    """

    def test_step(self, data: dict) -> list[SegDataSample]:
        """Segment the images in a batch.

        Args:
            data: ``inputs`` and ``data_samples`` from ``TestTimeAug``: for each augmentation, a list with one entry per
                image.

        Returns:
            For each image, the sample of its first augmentation, with ``pred_sem_seg`` (1, H, W) int64 added.

        Raises:
            InputError: see ``inference_segmentor``.
        """
        results = []
        for inputs, samples in zip(zip(*data['inputs']), zip(*data['data_samples'])):
            scenes = [scene_of(self.module, dict(inputs=image, data_samples=sample))
                      for image, sample in zip(inputs, samples)]
            labels = self._mean_labels(scenes)
            samples[0].set_data(dict(pred_sem_seg=PixelData(data=labels[None].long())))
            results.append(samples[0])
        return results

    @torch.no_grad()
    def _mean_labels(self, scenes: list[Scene]) -> torch.Tensor:
        """Return an image's labels (H, W) from its mean probabilities over all augmentations."""
        options = Options.of_config(self.module.test_cfg)
        device = next(self.module.parameters()).device
        precision, budget = choose_precision(options.precision, device), Budget(device, parse_bytes(options.max_memory))
        modes = [build_mode(options.mode).choose(self.module, scene, budget) for scene in scenes]
        factories = [StatisticsFactory(self.module, mode, scene, options.statistics)
                     for mode, scene in zip(modes, scenes)]
        needed = sum(mode.estimate_bytes(self.module, scene.pixels.height, scene.pixels.width)
                     + statistics_bytes(self.module, statistics(), scene)
                     for mode, scene, statistics in zip(modes, scenes, factories))
        budget.require(modes[0].name, needed, scenes[0])
        with run_in(precision, device):
            readers = [mode.rows(self.module, scene, statistics, options.progress).reader()
                       for mode, scene, statistics in zip(modes, scenes, factories)]
        labels = torch.empty(scenes[0].size, dtype=label_dtype(self.module))
        channels = num_logits(self.module)
        every = range(max(channels, 2))  # a single channel means two classes
        for start, stop in scenes[0].bands(channels * len(scenes)):
            with run_in(precision, device):
                parts = (to_probabilities(to_scores(reader.read(start, stop)), every) for reader in readers)
                mean = reduce(torch.add, parts) / len(scenes)
            labels[start:stop] = to_labels(self.module, mean[..., 1:] if channels == 1 else mean)
        factories[0].warn()
        return labels
