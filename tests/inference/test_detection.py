"""Detection returns objects in image pixel coordinates, with masks pasted all at once or encoded one by one."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detection import needs_mmdet
from mmengine.config import Config
from PIL import Image
from segmentors import build

from xcit_mm.apis import inference_detector, inference_segmentor, init_model, segment_file
from xcit_mm.errors import InputError
from xcit_mm.inference.results import ResultMeta, build_sinks
from xcit_mm.inference.results.overlay import draw_instances

pytestmark = needs_mmdet
CONFIG = Path(__file__).resolve().parents[2] / 'configs/xcit_mask_rcnn_digits.py'


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 256, (50, 71, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def detector():
    config = Config.fromfile(CONFIG)
    config.model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=5)
    config.test_dataloader.dataset.pipeline[1].scale_factor = 2.0
    torch.manual_seed(0)
    model = init_model(config)
    # Make the boxes as large as the image, and the masks neither empty nor full.
    model.roi_head.bbox_head.fc_reg.bias.data.view(-1, 4)[:, 2:] = 15
    model.roi_head.mask_head.conv_logits.weight.data.normal_(std=10.0)
    return model


def test_objects_are_in_pixels_of_the_image(detector, image):
    one, two = inference_detector(detector, [image, image])
    found = one.pred_instances
    assert len(found) == 5 and found.masks.shape == (5, 50, 71) and found.masks.dtype == torch.bool
    assert (found.bboxes >= 0).all() and (found.bboxes[:, 2] <= 71).all() and (found.bboxes[:, 3] <= 50).all()
    assert (found.scores.diff() <= 0).all() and torch.equal(found.bboxes, two.pred_instances.bboxes)
    assert detector.dataset_meta['classes'] == tuple('0123456789')


@pytest.mark.parametrize('pasted', [1, 2 * 50 * 71, 10**9])
@pytest.mark.parametrize('kind', ['Mask R-CNN', 'another'])
def test_encoded_masks_equal_pasted_masks(monkeypatch, detector, image, pasted, kind):
    from pycocotools import mask

    monkeypatch.setattr('xcit_mm.inference.detection.PASTED_BYTES', pasted)
    if kind == 'another':
        monkeypatch.setattr('xcit_mm.inference.detection.StandardRoIHead', int)
    found = inference_detector(detector, image).pred_instances
    encoded = inference_detector(detector, image, rle=True).pred_instances
    boxes = inference_detector(detector, image, boxes_only=True).pred_instances
    for other in (encoded, boxes):
        assert torch.equal(other.labels, found.labels) and torch.equal(other.scores, found.scores)
        torch.testing.assert_close(other.bboxes, found.bboxes)
    masks = np.stack([mask.decode(one) for one in encoded.masks])
    assert 0.01 < masks.mean() < 0.95 and np.array_equal(masks, found.masks.numpy()) and 'masks' not in boxes


@pytest.mark.parametrize('wanted', [{}, dict(rle=True), dict(boxes_only=True)], ids=str)
def test_result_can_be_empty(detector, image, wanted, monkeypatch):
    monkeypatch.setattr(detector.roi_head, 'test_cfg', detector.roi_head.test_cfg.copy())
    detector.roi_head.test_cfg.score_thr = 1.1
    found = inference_detector(detector, image, **wanted).pred_instances
    assert len(found) == 0 and ('masks' in found) == ('boxes_only' not in wanted)


@pytest.mark.parametrize('limit', [2048, 20])
def test_sinks_write_instances_and_overlay(tmp_path, monkeypatch, detector, image, limit):
    from pycocotools import mask

    monkeypatch.setattr('xcit_mm.inference.results.overlay.DRAWN', limit)
    found = inference_detector(detector, image, rle=True).pred_instances
    classes, palette = detector.dataset_meta['classes'], detector.dataset_meta['palette']
    meta = ResultMeta('photo', 50, 71, classes, palette, lambda: [image[..., ::-1]])
    for sink in build_sinks(['coco_json', 'overlay']):
        sink.write_objects(tmp_path, found, meta)
    rows = json.loads((tmp_path / 'photo_instances.json').read_text())
    left, top, width, height = rows[0]['bbox']
    np.testing.assert_allclose([left, top, left + width, top + height], found.bboxes[0].numpy(), rtol=1e-4)
    assert (mask.decode(rows[0]['segmentation']) == mask.decode(found.masks[0])).all()
    picture = Image.open(tmp_path / 'photo_overlay.png')
    assert picture.size == ((71, 50) if limit > 71 else (20, 14))
    plain = np.asarray(draw_instances(image[..., ::-1], found[:0], detector.dataset_meta))
    assert not np.array_equal(np.asarray(picture), plain)


@pytest.mark.parametrize('kind', ['masks', 'rle', 'boxes'])
def test_detectors_take_statistics(detector, image, kind):
    options = dict(masks={}, rle=dict(rle=True), boxes=dict(boxes_only=True))[kind]
    found = {name: inference_detector(detector, image, statistics=name, **options) for name in ('image', 'mixture')}
    assert {name: sample.statistics for name, sample in found.items()} == dict(image='image', mixture='mixture')
    scores = [sample.pred_instances.scores for sample in found.values()]
    assert len(scores[0]) != len(scores[1]) or not torch.equal(*scores)
    plain = inference_detector(detector, image, **options).pred_instances.scores
    assert torch.equal(plain, scores[0]) and not detector.backbone._forward_pre_hooks
    with pytest.raises(InputError, match='statistics must be one of'):
        inference_detector(detector, image, statistics='kinds', **options)


@pytest.mark.parametrize('wanted', [{}, dict(rle=True), dict(boxes_only=True)], ids=str)
def test_detectors_run_in_bfloat16(detector, image, wanted):
    exact = inference_detector(detector, image, **wanted).pred_instances
    found = inference_detector(detector, image, precision='bfloat16', **wanted)
    assert found.precision == 'bfloat16' and found.pred_instances.bboxes.dtype == torch.float32
    assert len(found.pred_instances) and len(exact)
    best = found.pred_instances.scores[0].float(), exact.scores[0]
    assert best[0] != best[1] and abs(best[0] - best[1]) < 0.02


def test_a_model_for_another_task_is_refused(detector, image, tmp_path):
    with pytest.raises(InputError, match='MaskRCNN as a segmentor: it is a detector; call inference_detector'):
        inference_segmentor(detector, image)
    with pytest.raises(InputError, match='MaskRCNN as a segmentor'):
        segment_file(detector, 'a.tif', tmp_path)
    with pytest.raises(InputError, match='BoundedEncoderDecoder as a detector: it is a segmentor; call inference_seg'):
        inference_detector(build(), image)
