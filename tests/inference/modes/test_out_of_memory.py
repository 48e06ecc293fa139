"""If the GPU runs out of memory, mode ``auto`` falls back to the next mode; other modes report it in one line."""
import numpy as np
import pytest
import tifffile
import torch
from segmentors import build

from xcit_mm.apis import inference_segmentor, segment_file
from xcit_mm.errors import InputError
from xcit_mm.inference import scene
from xcit_mm.inference.modes import MODES, Auto, Banded, Whole


class Greedy(Whole):
    """Mode whole, on a GPU that is too small."""

    name, summary, bands_before = 'greedy', 'runs out of memory', 0

    def bands(self, model, scene, statistics, progress):
        bands = super().bands(model, scene, statistics, progress)
        for _ in range(self.bands_before):
            yield next(bands)
        if not self.bands_before:
            scene.pixels.reader().read_all()  # the pixels cannot be read again
        raise torch.OutOfMemoryError('CUDA out of memory')


class Greedier(Greedy):
    name = 'greedier'


class GreedyAuto(Auto):
    """Mode auto, but with the greedy mode as its first choice."""

    name, summary = 'greedy auto', 'greedy or banded'
    after = Banded

    def candidates(self, model):
        return [Greedy(), self.after()]


@pytest.fixture(autouse=True)
def registered():
    for kind in (Greedy, GreedyAuto):
        MODES.register_module(name=kind.name, module=kind)
    yield
    for kind in (Greedy, GreedyAuto):
        del MODES.module_dict[kind.name]


@pytest.fixture(scope='module')
def model():
    return build()


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 256, (150, 141, 3), dtype=np.uint8)


def test_auto_goes_on_with_the_next_mode(model, image, tmp_path):
    expected = inference_segmentor(model, image, 'banded').pred_sem_seg.data
    sample = inference_segmentor(model, image, 'greedy auto')
    assert sample.mode == 'banded (greedy ran out of GPU memory)' and torch.equal(sample.pred_sem_seg.data, expected)
    tifffile.imwrite(tmp_path / 'a.tif', image[..., ::-1], photometric='rgb')
    assert segment_file(model, tmp_path / 'a.tif', tmp_path / 'out', 'greedy auto') == sample.mode
    assert np.array_equal(tifffile.imread(tmp_path / 'out/a_classes.tif'), expected[0].numpy())


def test_a_mode_chosen_by_name_fails_in_one_line(model, image):
    with pytest.raises(InputError, match='ran out of memory in mode greedy; use mode banded, or another device'):
        inference_segmentor(model, image, 'greedy')


def test_the_last_mode_fails_in_one_line(model, image, monkeypatch):
    monkeypatch.setattr(GreedyAuto, 'after', Greedier)
    with pytest.raises(InputError, match='ran out of memory in mode greedier'):
        inference_segmentor(model, image, 'greedy auto')


def test_a_result_that_has_begun_is_not_begun_again(model, image, monkeypatch):
    monkeypatch.setattr(scene, 'BAND_BYTES', 10**5)
    monkeypatch.setattr(Greedy, 'bands_before', 1)
    with pytest.raises(InputError, match='ran out of memory in mode greedy'):
        inference_segmentor(model, image, 'greedy auto')


def test_the_next_mode_has_to_fit_in_memory(model, image, monkeypatch):
    monkeypatch.setattr(Greedy, 'estimate_bytes', lambda *_: 0)
    monkeypatch.setattr(Banded, 'estimate_bytes', lambda *_: 10**18)
    with pytest.raises(InputError, match='not enough memory to segment 141 x 150 pixels in mode banded'):
        inference_segmentor(model, image, 'greedy auto')
