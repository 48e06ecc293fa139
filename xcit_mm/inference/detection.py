"""Detect objects in one image. Masks, if any, are pasted and encoded a few at a time."""
from __future__ import annotations

from mmdet.models.detectors import TwoStageDetector
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results
from mmengine.structures import InstanceData
from torch import nn

from .pipeline import predict

PASTED_BYTES = 256 << 20  # total size of the masks in memory at once, at one byte per pixel


def detect(model: nn.Module, data: dict, with_masks: bool) -> DetDataSample:
    """Detect objects like ``TwoStageDetector.predict``, but with run-length encoded masks or no masks at all.

    Args:
        model: a detector. Only a standard two-stage detector, such as Mask R-CNN, runs in bounded memory; any other
            detector holds all of its masks at once.
        data: from ``prepare_image``.
        with_masks: whether to return masks, run-length encoded.

    Returns:
        The sample with ``pred_instances`` (see ``inference_detector``).
    """
    if not isinstance(model, TwoStageDetector) or type(model.roi_head) is not StandardRoIHead:
        return _detect_at_once(model, data, with_masks)
    batch = model.data_preprocessor(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
    sample, head = batch['data_samples'][0], model.roi_head
    features = model.extract_feat(batch['inputs'])
    proposals = model.rpn_head.predict(features, [sample], rescale=False)
    pastes = with_masks and head.with_mask
    # The mask head crops the features using boxes at the network's scale, and rescales the boxes itself.
    found, = head.predict_bbox(features, [sample.metainfo], proposals, head.test_cfg, rescale=not pastes)
    if pastes:
        number = max(PASTED_BYTES // (sample.ori_shape[0] * sample.ori_shape[1]), 1)
        groups = [found[start:start + number] for start in range(0, max(len(found), 1), number)]
        found = InstanceData.cat([
            encode_masks(head.predict_mask(features, [sample.metainfo], [group], rescale=True)[0]) for group in groups])
    sample.pred_instances = found
    return sample


def _detect_at_once(model: nn.Module, data: dict, with_masks: bool) -> DetDataSample:
    """Run any detector, with all of its masks in memory at once."""
    sample = predict(model, data)
    if 'masks' in sample.pred_instances:
        if with_masks:
            encode_masks(sample.pred_instances)
        else:
            del sample.pred_instances.masks
    return sample


def encode_masks(found: InstanceData) -> InstanceData:
    """Replace an ``InstanceData``'s masks (N, H, W) with run-length encoded ones, and return it."""
    found.masks = encode_mask_results(found.pop('masks').cpu().numpy())
    return found
