"""Load weights into backbones, segmentors and detectors: either every key fits, or an error says why not."""
from pathlib import Path

import pytest
import torch
from detection import needs_mmdet
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from reference_keys import FORMATS, weights_of

from xcit_mm import XCiT, checkpoints
from xcit_mm.errors import InputError
from xcit_mm.variants import ARCHITECTURES

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)
PUBLISHED_HEAD_KEYS = {  # also used in the authors' files, because they trained with mmseg and mmdet
    'xcit_upernet_ade20k.py': {
        'decode_head.psp_modules.3.1.conv.weight', 'decode_head.bottleneck.bn.running_var',
        'decode_head.lateral_convs.2.conv.weight', 'decode_head.fpn_bottleneck.conv.weight',
        'decode_head.conv_seg.bias', 'auxiliary_head.convs.0.conv.weight', 'auxiliary_head.conv_seg.weight'},
    'xcit_sem_fpn_ade20k.py': {
        'neck.lateral_convs.3.conv.bias', 'neck.fpn_convs.0.conv.weight',
        'decode_head.scale_heads.3.4.conv.weight', 'decode_head.conv_seg.weight'},
    'xcit_mask_rcnn_coco.py': {
        'neck.fpn_convs.3.conv.weight', 'rpn_head.rpn_conv.weight', 'rpn_head.rpn_cls.bias', 'rpn_head.rpn_reg.weight',
        'roi_head.bbox_head.shared_fcs.1.weight', 'roi_head.bbox_head.fc_cls.bias',
        'roi_head.mask_head.convs.3.conv.weight', 'roi_head.mask_head.upsample.weight',
        'roi_head.mask_head.conv_logits.weight'}}


def save(path, content):
    torch.save(content, path)
    return path


def compare(model, source):
    """Compare a checkpoint's keys and shapes with a model's; the model may be on the meta device and hold no values."""
    return checkpoints.prepare(model, source, 'the checkpoint').compare('the checkpoint', model.state_dict())


def build(name):
    config = Config.fromfile(CONFIGS / name)
    init_default_scope(config.default_scope)
    with torch.device('meta'):
        return MODELS.build(config.model)


@pytest.mark.parametrize('arch', ARCHITECTURES)
@pytest.mark.parametrize('format', FORMATS)
def test_every_published_format_of_every_architecture_loads(format, arch):
    with torch.device('meta'):
        model = XCiT(arch)
    report = compare(model, weights_of(format, arch))
    assert report.problems == [] and report.arch == arch
    pyramid = {key for key in model.state_dict() if key.startswith('fpn')}
    assert set(report.fresh) == (set() if format == 'facebook_dense_backbone' else pyramid)
    assert report.matched == report.wanted - len(report.fresh)


@pytest.mark.parametrize('format', FORMATS)
def test_loaded_weights_have_the_right_values_and_survive_saving(format, tmp_path):
    model, source = XCiT('nano_12_p8'), weights_of(format, 'nano_12_p8')
    checkpoints.load(model, source)
    values = sorted(value.flatten()[0].item() for key, value in model.state_dict().items() if not key.startswith('fpn'))
    dropped = checkpoints.translate(source).dropped
    assert values == sorted(value.flatten()[0].item() for key, value in source.items()
                            if key not in dropped and not key.startswith('fpn'))
    again = XCiT('nano_12_p8')
    checkpoints.load(again, save(tmp_path / 'ours.pth', model.state_dict()))
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize('name', [
    'xcit_upernet_ade20k.py', 'xcit_sem_fpn_ade20k.py', pytest.param('xcit_mask_rcnn_coco.py', marks=needs_mmdet)])
def test_the_authors_whole_models_load(name):
    model = build(name)
    heads = {key: value for key, value in model.state_dict().items() if not key.startswith('backbone.')}
    assert PUBLISHED_HEAD_KEYS[name] <= set(heads)
    backbone = weights_of('facebook_dense_backbone', 'small_12_p16')
    content = dict(meta=dict(), state_dict={f'backbone.{key}': value for key, value in backbone.items()} | heads)
    report = compare(model, content)
    assert (report.problems, report.fresh, report.dropped) == ([], [], {})
    assert report.format == "the authors' dense model" and report.arch == 'small_12_p16'


@pytest.mark.parametrize('source, words', [
    (lambda: weights_of('facebook_classifier', 'small_12_p8'),
     r'it holds small_12_p8, but the model has small_12_p16 \(a stem for patches of 8 px, not 16 px\)'),
    (lambda: weights_of('timm_1.0.31_classifier', 'tiny_12_p16'),
     'it holds tiny_12_p16, but the model has small_12_p16'),
    (lambda: weights_of('mmpretrain_1.3.6_classifier', 'small_12_p16'), 'a backbone without heads; .*init_cfg'),
    (lambda: {'conv1.weight': torch.ones(1), 'layer1.0.bn1.bias': torch.ones(1)},
     'does not contain XCiT weights .its keys begin with conv1, layer1'),
])
def test_the_error_explains_why_weights_do_not_fit_a_segmentor(source, words):
    model = build('xcit_upernet_ade20k.py')
    with pytest.raises(InputError, match=f'the checkpoint does not fit {type(model).__name__}: .*{words}'):
        checkpoints.load(model, source())


def test_a_lenient_load_reports_the_keys_that_do_not_fit():
    weights = XCiT(TINY).state_dict()
    weights['blocks.0.gamma1'] = torch.full((16, ), 7.0)
    weights['blocks.1.gamma1'] = torch.ones(3)
    weights['extra'] = torch.ones(1)
    del weights['blocks.1.gamma2']
    model = XCiT(TINY)
    with pytest.raises(InputError, match='1 missing, .*1 unexpected, .*1 with a different shape'):
        checkpoints.load(model, weights)
    report = checkpoints.load(model, weights, strict=False)
    assert (report.missing, report.unexpected) == (['blocks.1.gamma2'], ['extra'])
    assert report.conflicts == ['blocks.1.gamma1 is (3,) but must be (16,)']
    assert model.blocks[0].gamma1[0] == 7 and report.matched == report.wanted - 2
    assert 'missing, e.g. blocks.1.gamma2' in str(report)


def test_a_module_without_xcit_loads_weights_with_its_own_keys():
    model = torch.nn.Linear(2, 2)
    report = checkpoints.load(model, {'weight': torch.ones(2, 2), 'bias': torch.ones(2)})
    assert report.matched == 2 and model.weight.sum() == 4


@pytest.mark.parametrize('change, words', [
    (lambda weights: weights.pop('blocks.1.gamma1'), '1 missing, e.g. blocks.1.gamma1'),
    (lambda weights: weights.update(extra=torch.ones(1)), '1 unexpected, e.g. extra'),
])
def test_a_missing_or_unexpected_key_is_refused(change, words):
    weights = XCiT(TINY).state_dict()
    change(weights)
    with pytest.raises(InputError, match=words):
        checkpoints.load(XCiT(TINY), weights)


def test_a_module_on_the_meta_device_is_refused():
    with torch.device('meta'):
        model = XCiT(TINY)
    with pytest.raises(InputError, match='cannot load .* into XCiT: its parameters are on the meta device'):
        checkpoints.load(model, XCiT(TINY).state_dict())


@pytest.mark.parametrize('strict', [True, False])
@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf'), 'meta', 1e300])
def test_weights_without_finite_numbers_are_refused_and_change_nothing(value, strict):
    model, weights = XCiT(TINY), XCiT(TINY).state_dict()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    key = 'blocks.1.norm1.weight'
    weights[key] = weights[key].to('meta') if value == 'meta' else torch.full((16, ), value, dtype=torch.float64)
    with pytest.raises(InputError, match=f'1 of its weights hold NaN, infinite or no numbers, e.g. {key}'):
        checkpoints.load(model, weights, strict)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize('convert', [
    lambda value: value.to(torch.int8), lambda value: value.to(torch.complex64), lambda value: value.to_sparse(),
    lambda value: value.to(torch.float8_e4m3fn), lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8)])
def test_weights_that_are_not_plain_floats_are_refused(convert):
    weights = XCiT(TINY).state_dict()
    weights['blocks.1.gamma1'] = convert(weights['blocks.1.gamma1'])
    with pytest.raises(InputError, match='1 with a different shape or kind, e.g. blocks.1.gamma1 is .* but must be'):
        checkpoints.load(XCiT(TINY), weights)


def test_a_complex_counter_is_refused():
    weights = XCiT(TINY).state_dict()
    key = next(key for key in weights if key.endswith('num_batches_tracked'))
    weights[key] = weights[key] + 1j
    with pytest.raises(InputError, match=f'{key} is torch.complex64 but must be torch.int64'):
        checkpoints.load(XCiT(TINY), weights)


def test_a_negative_variance_is_refused():
    weights = XCiT(TINY).state_dict()
    weights['blocks.1.local_mp.bn.running_var'][3] = -0.1
    with pytest.raises(InputError, match='1 of its variances are negative, e.g. blocks.1.local_mp.bn.running_var'):
        checkpoints.load(XCiT(TINY), weights)
