"""Recorded statistics reproduce the image they come from, and fit only the model they come from."""
import sys

import pytest
from mixed_scenes import ARCH, difference, outputs, scene

from xcit_mm.backbone import XCiT
from xcit_mm.errors import InputError
from xcit_mm.statistics import Recorder, build_statistics


def test_frozen_statistics_of_the_image_are_its_own(backbone, tmp_path):
    recorder, images = Recorder(), scene()
    expected = outputs(backbone, images, recorder)
    recorder.save(tmp_path / 'own.safetensors')
    frozen = build_statistics(dict(type='frozen', file=str(tmp_path / 'own.safetensors')))
    assert difference(outputs(backbone, images, frozen), expected) < 1e-6
    other = images.flip(1)  # swaps the channels
    assert difference(outputs(backbone, other, frozen), outputs(backbone, other, build_statistics('image'))) > 1e-3


def test_statistics_of_another_model_are_refused(backbone, tmp_path):
    recorder = Recorder()
    outputs(backbone, scene(), recorder)
    recorder.save(tmp_path / 'a.safetensors')
    for other in (dict(ARCH, embed_dim=16), dict(ARCH, depth=4)):
        model = XCiT(other, out_indices=(other['depth'] - 1, ), pyramid=False).double().eval()
        with pytest.raises(InputError, match='come from another model'):
            outputs(model, scene(), build_statistics(dict(type='frozen', file=str(tmp_path / 'a.safetensors'))))
    with pytest.raises(InputError, match='no image ran'):
        Recorder().save(tmp_path / 'b.safetensors')


def test_recorded_statistics_need_safetensors(monkeypatch):
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(InputError, match=r"run pip install 'xcit_mm\[safetensors\]'"):
        build_statistics(dict(type='frozen', file='a.safetensors'))
