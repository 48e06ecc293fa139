"""Statistics equal those of the whole image wherever they should, however the image is split into bands."""
import copy

import pytest
import torch
from mixed_scenes import STATISTICS, difference, outputs, scene

from xcit_mm.errors import InputError
from xcit_mm.layers.cross_covariance_attention import blend
from xcit_mm.statistics import build_statistics


@pytest.mark.parametrize('config', [dict(type='mixture', kinds=1), dict(type='local', size=(152, 160)),
                                    dict(type='local', size=(4000, 4000))], ids=str)
@pytest.mark.parametrize('size', [(120, 152), (8, 8), (24, 150)], ids=str)
def test_one_group_is_the_image(backbone, config, size):
    images = scene(*size)
    expected = outputs(backbone, images, build_statistics('image'))
    assert difference(outputs(backbone, images, build_statistics(config)), expected) < 1e-6


@pytest.mark.parametrize('name', [name for name in STATISTICS if name != 'image'])
def test_statistics_differ_where_kinds_do(backbone, name):
    images = scene()
    changed = difference(outputs(backbone, images, build_statistics(STATISTICS[name])),
                         outputs(backbone, images, build_statistics('image')))
    assert changed > 1e-2


@pytest.mark.parametrize('name', STATISTICS)
@pytest.mark.parametrize('size', [(120, 152), (8, 200), (97, 31)], ids=str)
def test_images_of_a_batch_do_not_influence_each_other(backbone, name, size):
    images = scene(*size, batch=3)
    images[1] = images[1].flip(-1)
    images[2] = 0
    together = backbone(images, build_statistics(STATISTICS[name]))
    for index in range(3):
        alone = backbone(images[index:index + 1], build_statistics(STATISTICS[name]))
        for level, expected in zip(together, alone):
            torch.testing.assert_close(level[index:index + 1], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize('name', STATISTICS)
@pytest.mark.parametrize('step', [1, 2, 5, 11])
def test_bands_do_not_change_the_result(name, step):
    torch.manual_seed(2)
    height, width, channels = 11, 9, 6
    tokens = torch.randn(2, height * width, channels, dtype=torch.double)
    tokens[:, :40] *= 3
    tokens[1, :60] += 1
    maps = []
    for rows in (height, step):
        statistics = build_statistics(STATISTICS[name])
        statistics.begin(height * 16, width * 16, 16)
        cuts = [(start, min(start + rows, height)) for start in range(0, height, rows)]
        if statistics.observes:
            for start, stop in cuts:
                statistics.observe(tokens[:, start * width:stop * width], start)
        moments = statistics.moments(0, height, width)
        for start, stop in cuts:
            moments.collect(tokens[:, start * width:stop * width], start)
        # The moments themselves serve as maps, so that blending shows which moment each token attends with.
        moments.reduce(lambda total: (total[:, :-1, :-1], total[:, -1:, :-1]))
        maps.append(torch.cat([blend(moments.maps(start, stop), tokens[:, start * width:stop * width])
                               for start, stop in cuts], dim=1))
    assert difference(maps[1], maps[0]) < 1e-6  # shares are in float32


@pytest.mark.parametrize('name', STATISTICS)
def test_padding_belongs_to_no_group(backbone, name):
    """Sums leave out tokens that are entirely padding, whatever they contain; published statistics include them."""
    torch.manual_seed(3)
    tokens = torch.randn(1, 10 * 12, 8, dtype=torch.double)
    outside = torch.ones(10, 12, dtype=torch.bool)
    outside[2:8, 1:10] = False
    found = []
    for filler in (0.0, 50.0):
        tokens[0, outside.flatten()] = filler
        statistics = build_statistics(STATISTICS[name], padding=(15, 16, 16, 20))  # px; each token covers 8 px
        statistics.begin(80, 96, 8)
        if statistics.observes:
            statistics.observe(tokens)
        moments = statistics.moments(0, 10, 12)
        moments.collect(tokens)
        moments.reduce(lambda total: (total[:, :-1, :-1], total[:, -1:, :-1]))
        found.append(blend(moments.maps(), tokens)[0, ~outside.flatten()])
    assert (difference(found[1], found[0]) < 1e-12) == (name != 'image')


def test_kinds_do_not_depend_on_the_number_of_threads(backbone):
    images, found, threads = scene(), [], torch.get_num_threads()
    for number in (1, 2, 1):
        torch.set_num_threads(number)
        statistics = build_statistics('mixture')
        outputs(backbone, images, statistics)
        found.append(statistics.groups.weights)
    torch.set_num_threads(threads)
    assert torch.equal(found[0], found[2])
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=0)


@pytest.mark.parametrize('config, message', [
    (dict(type='mixture', kinds=0), 'kinds >= 1'),
    (dict(type='mixture', kinds=2.5), 'kinds >= 1'),
    (dict(type='mixture', cell='32'), 'cell >= 1'),
    (dict(type='mixture', softness=float('nan')), 'softness > 0'),
    (dict(type='local', size=256), 'size=(height, width)'),
    (dict(type='local', size=(8.5, 8)), 'size=(height, width)'),
    (3, 'statistics must be one of'),
    (dict(type=['mixture']), 'statistics must be one of'),
    (dict(kinds=3), 'statistics must be one of'),
    (dict(type='mixture', softness=-1), 'softness > 0'),
    (dict(type='mixture', tau=1), "cannot build the statistics 'mixture'"),
    (dict(type='local', size=(0, 3)), 'size=(height, width)'),
    (dict(type='frozen', file='absent.safetensors'), 'cannot read the recorded statistics absent.safetensors'),
    (dict(type='frozen', file=__file__), 'cannot read the recorded statistics'),
    ('kinds', 'statistics must be one of'),
])
def test_wrong_arguments_are_refused(config, message):
    with pytest.raises(InputError) as caught:
        build_statistics(config)
    assert message in str(caught.value)


def test_half_precision_is_near(backbone):
    """Small groups of nearly equal tokens, as here, are the most sensitive to rounded tokens."""
    images = scene().float()
    model = copy.deepcopy(backbone).float()
    errors = {}
    for name, config in STATISTICS.items():
        expected = outputs(model, images, build_statistics(config))
        with torch.autocast('cpu', torch.bfloat16):
            found = outputs(model, images, build_statistics(config))
        errors[name] = ((found - expected).square().mean() / expected.square().mean()).sqrt().item()
    assert errors['image'] < 0.01 and max(errors.values()) < 0.1, errors


@pytest.mark.parametrize('threshold', [-1, float('nan'), 'high', None], ids=str)
def test_impossible_thresholds_are_refused(threshold):
    with pytest.raises(InputError, match='statistics adaptive needs a number threshold'):
        build_statistics(dict(type='adaptive', threshold=threshold))


@pytest.mark.parametrize('name', ['image', 'mixture', 'adaptive', 'local'])
def test_there_is_no_spread_before_a_pass(name):
    assert build_statistics(name).spread is None
