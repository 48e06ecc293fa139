"""Any part of inference can be extended from outside the package with a single registration."""
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.models.decode_heads import FCNHead
from segmentors import digits_config

from xcit_mm.apis import inference_segmentor, init_model, segment_file
from xcit_mm.inference.bands import BandedModule, run_in_bands
from xcit_mm.inference.bands.convolution import check_convolutions, convolve
from xcit_mm.inference.modes import MODES, Banded
from xcit_mm.inference.results import SINKS, Sink
from xcit_mm.inference.sources import SOURCES, Source, find_images
from xcit_mm.ops.row_operations import Pointwise
from xcit_mm.statistics import STATISTICS, BlendedMap, ImageStatistics, Moments

USED = []  # the parts that ran


class SlimHead(FCNHead):
    """A third-party head with one input map and no convolutions before the classifier."""

    def __init__(self, **kwargs):
        super().__init__(num_convs=0, concat_input=False, **kwargs)


@pytest.fixture(scope='module')
def registered():
    """Register a mode, a banded head, a statistic, a source and a sink."""

    @MODES.register_module(name='mirrored')
    class Mirrored(Banded):
        """Runs the mirrored image in bands."""

        name, summary = 'mirrored', 'bands of the mirrored image'

        def logits(self, model, pixels, statistics, progress):
            USED.append('mode')
            mirrored = Pointwise(pixels, lambda rows: rows.flip(1))
            return Pointwise(super().logits(model, mirrored, statistics, progress), lambda rows: rows.flip(1))

    @run_in_bands(SlimHead)
    class BandedSlimHead(BandedModule):
        """Runs only the head's classifier."""

        whole_maps = 1.0

        def check(self, module, levels):
            check_convolutions(module)

        def run(self, module, levels, statistics):
            USED.append('head')
            return convolve(levels[module.in_index], module.conv_seg)

    class LeftHalf(Moments):
        """Moments of the left half of each row, as a blend of two identical maps."""

        def __init__(self, width):
            self.inner, self.width = ImageStatistics().moments(0, 0, 0), width

        def collect(self, tokens, start=0):
            rows = tokens.unflatten(1, (-1, self.width))
            self.inner.collect(rows[:, :, :(self.width + 1) // 2].flatten(1, 2), start)

        def reduce(self, to_map):
            self.inner.reduce(to_map)

        def maps(self, start=0, stop=None):
            weight, bias, *_ = self.inner.map
            return [BlendedMap(weight, bias, torch.full((1, 1, 1), share)) for share in (0.25, 0.75)]

    @STATISTICS.register_module(name='left half')
    class LeftHalfStatistics(ImageStatistics):
        is_published, observes = False, True

        def __init__(self):
            self.observed = 0

        def observe(self, tokens, start=0):
            self.observed += tokens.shape[1]

        def moments(self, block, height, width):
            assert self.observed == height * width  # every token is observed once before any is collected
            USED.append('statistic')
            return LeftHalf(width)

    @SOURCES.register_module()
    class NumpyFile(Source):
        """BGR arrays (H, W, 3) saved by numpy, read a few rows at a time."""

        suffixes = ('.npy', )

        def __init__(self, path):
            self.array = np.load(path, mmap_mode='r')
            super().__init__(path, *self.array.shape[:2])

        def compute(self, start, stop):
            USED.append('source')
            return torch.from_numpy(np.array(self.array[start:stop]))

    @SINKS.register_module(name='counts')
    class Counts(Sink):
        """Writes the number of pixels in each class."""

        summary = 'pixels per class'

        def write_labels(self, folder, bands, meta):
            USED.append('sink')
            counts = sum(torch.bincount(band.flatten().long(), minlength=len(meta.classes)) for band in bands)
            Path(folder, f'{meta.name}_counts.txt').write_text(' '.join(map(str, counts.tolist())))

    yield
    for registry, name in ((MODES, 'mirrored'), (STATISTICS, 'left half'), (SOURCES, 'NumpyFile'), (SINKS, 'counts')):
        del registry.module_dict[name]


@pytest.fixture
def model():
    config = digits_config()
    config.model.decode_head = dict(type=SlimHead, in_channels=96, in_index=2, channels=96, num_classes=11)
    config.model.pop('auxiliary_head')
    torch.manual_seed(0)
    return init_model(config)


def test_an_image_goes_through_five_parts_from_outside(registered, model, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (150, 141, 3), dtype=np.uint8)
    np.save(tmp_path / 'a.npy', image)
    assert find_images([tmp_path]) == [tmp_path / 'a.npy']
    USED.clear()
    used = segment_file(model, tmp_path / 'a.npy', tmp_path, 'mirrored', statistics='left half', sinks=['counts'])
    assert used == 'mirrored' and set(USED) == {'mode', 'head', 'statistic', 'source', 'sink'}
    mirrored = np.ascontiguousarray(image[:, ::-1])
    expected = inference_segmentor(model, mirrored, 'whole', statistics='left half').pred_sem_seg.data
    counts = torch.tensor(list(map(int, (tmp_path / 'a_counts.txt').read_text().split())))
    assert (counts - torch.bincount(expected.flatten(), minlength=11)).abs().max() < 5  # two classes can tie
    assert counts.sum() == 150 * 141 and (counts > 0).sum() > 1


@pytest.mark.parametrize('mode', ['whole', 'banded'])
def test_a_statistic_changes_the_result_alike_in_both_modes(registered, model, mode):
    image = np.random.default_rng(0).integers(0, 256, (150, 141, 3), dtype=np.uint8)
    image[:, 70:] //= 4
    logits = {(statistic, way): inference_segmentor(
        model, image, way, statistics=statistic, return_logits=True).seg_logits.data
        for statistic in ('image', 'left half') for way in {mode, 'whole'}}
    scale = logits['image', 'whole'].abs().max()
    assert (logits['left half', mode] - logits['left half', 'whole']).abs().max() < 1e-5 * scale
    assert (logits['left half', mode] - logits['image', mode]).abs().max() > 1e-3 * scale


def test_other_sources_feed_the_test_pipeline(registered, model, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (60, 71, 3), dtype=np.uint8)
    np.save(tmp_path / 'a.npy', image)
    sample = inference_segmentor(model, tmp_path / 'a.npy')
    assert torch.equal(sample.pred_sem_seg.data, inference_segmentor(model, image).pred_sem_seg.data)
    assert sample.img_path == str(tmp_path / 'a.npy')
