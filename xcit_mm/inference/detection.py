"""Objects of one image with masks that are pasted and encoded one after the other, or without masks."""
from __future__ import annotations

from mmdet.models.detectors import TwoStageDetector
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results
from mmengine.structures import InstanceData
from torch import nn

from .pipeline import predict

PASTED_BYTES = 256 << 20  # of masks that are held at a time, a byte for each pixel


def detect(model: nn.Module, data: dict, with_masks: bool) -> DetDataSample:
    """Find objects as ``TwoStageDetector.predict`` does, but for the masks.

    Args:
        model: a Mask R-CNN; another kind of detector takes the memory it takes.
        data: of ``prepare_image``.
        with_masks: whether to encode masks, or to leave them out.

    Returns:
        ``pred_instances`` as ``inference_detector`` describes them.
    """
    if not isinstance(model, TwoStageDetector) or type(model.roi_head) is not StandardRoIHead:
        return _detect_otherwise(model, data, with_masks)
    batch = model.data_preprocessor(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
    sample, head = batch['data_samples'][0], model.roi_head
    features = model.extract_feat(batch['inputs'])
    proposals = model.rpn_head.predict(features, [sample], rescale=False)
    pastes = with_masks and head.with_mask
    # Masks are cut out of the features by boxes at the network's scale, and rescale them.
    found, = head.predict_bbox(features, [sample.metainfo], proposals, head.test_cfg, rescale=not pastes)
    if pastes:
        number = max(PASTED_BYTES // (sample.ori_shape[0] * sample.ori_shape[1]), 1)
        parts = [_encode(head.predict_mask(features, [sample.metainfo], [found[start:start + number]], rescale=True)[0])
                 for start in range(0, max(len(found), 1), number)]
        found = InstanceData.cat(parts)
    sample.pred_instances = found
    return sample


def _detect_otherwise(model: nn.Module, data: dict, with_masks: bool) -> DetDataSample:
    """Let a detector of another kind hold all of its masks at once."""
    sample = predict(model, data)
    if 'masks' in sample.pred_instances:
        if with_masks:
            _encode(sample.pred_instances)
        else:
            del sample.pred_instances.masks
    return sample


def _encode(found: InstanceData) -> InstanceData:
    found.masks = encode_mask_results(found.pop('masks').cpu().numpy())
    return found
