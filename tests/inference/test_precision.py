"""Inference in bfloat16, in every mode and tool."""
import numpy as np
import pytest
import torch
from segmentors import SLIDING, build

from xcit_mm.apis import inference_segmentor
from xcit_mm.errors import InputError
from xcit_mm.inference import precision, scene
from xcit_mm.inference.pipeline import prepare_image
from xcit_mm.inference.segmentation import Options, Segmentation
from xcit_mm.ops import cpu, second_moment
from xcit_mm.ops.row_operations import Resized
from xcit_mm.statistics import image as image_statistics

IMAGE = np.random.default_rng(0).integers(0, 256, (150, 210, 3), dtype=np.uint8)


@pytest.fixture
def has_bfloat16(monkeypatch, request):
    monkeypatch.setattr(precision, 'has_bfloat16', lambda: request.param)
    return request.param


def logits(model, mode, **options):
    return inference_segmentor(model, IMAGE, mode, return_logits=True, **options).seg_logits.data


@pytest.mark.parametrize('mode', ['whole', 'banded', 'slide'])
def test_bfloat16_is_close_to_float32(mode):
    model = build()
    model.test_cfg.update(SLIDING)
    exact, rounded = logits(model, mode), logits(model, mode, precision='bfloat16')
    error = (rounded - exact).norm() / exact.norm()
    assert rounded.dtype == torch.float32 and 1e-4 < error < 0.02


def test_the_modes_agree_about_as_well_as_the_precision_allows():
    model = build()
    whole, banded = (logits(model, mode, precision='bfloat16') for mode in ('whole', 'banded'))
    assert (whole - banded).norm() < 0.01 * whole.norm()


def test_the_caller_sees_no_autocast(monkeypatch):
    monkeypatch.setattr(scene, 'BAND_BYTES', 10**4)
    model, seen = build(), []

    def progress(share):
        seen.append(torch.is_autocast_enabled('cpu'))

    data = prepare_image(model.cfg, IMAGE)
    bands = Segmentation(model, lambda: scene.scene_of(model, data), Options(precision='bfloat16', progress=progress))
    seen += [torch.is_autocast_enabled('cpu') for _ in bands]
    assert len(seen) > 10 and not any(seen)


@pytest.mark.parametrize('mode', ['whole', 'banded', 'slide'])
def test_tokens_and_resized_logits_stay_in_float32(monkeypatch, mode):
    model, dtypes = build(), []
    model.test_cfg.update(SLIDING)
    observe = second_moment.second_moment
    monkeypatch.setattr(image_statistics, 'second_moment', lambda x, *_: dtypes.append(x.dtype) or observe(x))
    resize = Resized.compute

    def record(rows, start, stop):
        result = resize(rows, start, stop)
        if result.shape[2] == model.decode_head.num_classes:
            dtypes.append(result.dtype)
        return result

    monkeypatch.setattr(Resized, 'compute', record)
    inference_segmentor(model, IMAGE, mode, precision='bfloat16', statistics='image')
    assert len(dtypes) > 2 and not {torch.bfloat16, torch.float16}.intersection(dtypes)


def test_models_with_their_own_prediction_code_decide_their_precision():
    model = build()
    assert inference_segmentor(model, IMAGE, 'delegated', precision='auto').precision == 'float32'
    with pytest.raises(InputError, match="mode delegated runs the model's own prediction code in its own precision"):
        inference_segmentor(model, IMAGE, 'delegated', precision='bfloat16')


def test_a_patched_feature_extractor_comes_back():
    class Detector(torch.nn.Linear):
        def extract_feat(self, x):
            return (self(x), )

    detector, x = Detector(3, 4), torch.ones(2, 3)
    with precision.features_in('bfloat16', detector):
        level, = detector.extract_feat(x=x)
        assert level.dtype == torch.float32 and not torch.equal(level, detector(x))
    assert 'extract_feat' not in vars(detector)
    detector.extract_feat = patched = lambda x: (detector(x), )
    with precision.features_in('bfloat16', detector):
        assert detector.extract_feat is not patched
    assert detector.extract_feat is patched


@pytest.mark.parametrize('has_bfloat16', [True, False], indirect=True)
def test_auto_follows_the_device(has_bfloat16):
    sample = inference_segmentor(build(), IMAGE, precision='auto')
    assert sample.precision == ('bfloat16' if has_bfloat16 else 'float32')


@pytest.mark.parametrize('has_bfloat16', [True, False], indirect=True)
def test_a_warning_says_if_bfloat16_is_slow(has_bfloat16, monkeypatch):
    lines = []
    monkeypatch.setattr(precision, 'print_log', lambda line, *_: lines.append(line))
    assert precision.choose_precision('bfloat16', torch.device('cpu')) == 'bfloat16'
    warning = 'this CPU has no instructions for bfloat16 products, so precision bfloat16 is slower than float32 here'
    assert lines == ([] if has_bfloat16 else [warning])


@pytest.mark.parametrize('words, amd, bfloat16', [
    ('vendor_id : AuthenticAMD flags : avx2 avx512_bf16', True, True),
    ('vendor_id : GenuineIntel flags : avx512f amx_bf16', False, True),
    ('Features : fp asimd bf16', False, True), ('vendor_id : AuthenticAMD flags : avx2', True, False)])
def test_facts_about_the_cpu(monkeypatch, words, amd, bfloat16):
    monkeypatch.setattr(cpu, 'cpu_facts', lambda: frozenset(words.split()))
    assert (cpu.is_amd(), cpu.has_bfloat16()) == (amd, bfloat16)


def test_settings_in_the_config():
    assert Options.of_config(dict(mode='whole', precision='bfloat16')).precision == 'bfloat16'
    model = build()
    assert inference_segmentor(model, IMAGE).precision == 'float32'
    with pytest.raises(InputError, match="precision must be one of auto, float32, bfloat16, but got 'half'"):
        inference_segmentor(model, IMAGE, precision='half')
