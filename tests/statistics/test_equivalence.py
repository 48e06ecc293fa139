"""Statistics equal those of the whole image wherever they should, however the image is split into bands."""
import copy
import sys

import pytest
import torch

from xcit_mm.backbone import XCiT
from xcit_mm.errors import InputError
from xcit_mm.statistics import Recorder, build_statistics

ARCH = dict(embed_dim=32, depth=3, num_heads=4, patch_size=8)
STATISTICS = {
    'image': dict(type='image'),
    'mixture': dict(type='mixture'),
    'mixture with a leak': dict(type='mixture', kinds=3, leak=0.2, cell=64),
    'local': dict(type='local', size=(48, 80)),
}


@pytest.fixture(scope='module')
def backbone():
    torch.manual_seed(0)
    model = XCiT(ARCH, out_indices=(0, 1, 2), pyramid=False).double().eval()
    for block in model.blocks:  # makes attention depend strongly on the moments
        torch.nn.init.constant_(block.attn.temperature, 10)
        torch.nn.init.normal_(block.attn.proj.weight)
    return model


def scene(height=120, width=152, batch=1):
    """Return images whose left, middle and right parts differ in kind: (batch, 3, height, width) float64."""
    torch.manual_seed(1)
    images = torch.randn(batch, 3, height, width, dtype=torch.double)
    images[..., width // 3:] *= 0.2
    images[..., 2 * width // 3:] += 3
    return images


def outputs(backbone, images, statistics):
    with torch.no_grad():
        return torch.cat([level.flatten() for level in backbone(images, statistics)])


def difference(x, y):
    return ((x - y).abs().max() / y.abs().max()).item()


@pytest.mark.parametrize('config', [dict(type='mixture', kinds=1), dict(type='local', size=(152, 160)),
                                    dict(type='local', size=(4000, 4000))], ids=str)
@pytest.mark.parametrize('size', [(120, 152), (8, 8), (24, 150)], ids=str)
def test_one_group_is_the_image(backbone, config, size):
    images = scene(*size)
    expected = outputs(backbone, images, build_statistics('image'))
    assert difference(outputs(backbone, images, build_statistics(config)), expected) < 1e-6


def test_frozen_statistics_of_the_image_are_its_own(backbone, tmp_path):
    recorder, images = Recorder(), scene()
    expected = outputs(backbone, images, recorder)
    recorder.save(tmp_path / 'own.safetensors')
    frozen = build_statistics(dict(type='frozen', file=str(tmp_path / 'own.safetensors')))
    assert difference(outputs(backbone, images, frozen), expected) < 1e-6
    other = images.flip(1)  # swaps the channels
    assert difference(outputs(backbone, other, frozen), outputs(backbone, other, build_statistics('image'))) > 1e-3


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
        maps.append(torch.cat([blended(moments.maps(start, stop), tokens[:, start * width:stop * width])
                               for start, stop in cuts], dim=1))
    assert difference(maps[1], maps[0]) < 1e-6  # shares are in float32


def blended(maps, tokens):
    from xcit_mm.layers.cross_covariance_attention import blend

    return blend(maps, tokens)


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
        found.append(blended(moments.maps(), tokens)[0, ~outside.flatten()])
    assert (difference(found[1], found[0]) < 1e-12) == (name != 'image')


@pytest.mark.parametrize('name', STATISTICS)
def test_gradients_are_exact(name):
    """Gradients flow through the moments; the assignment to kinds is treated as constant."""
    torch.manual_seed(4)
    model = XCiT(dict(ARCH, embed_dim=8, depth=1, num_heads=2, patch_size=16), out_indices=(0, ), pyramid=False)
    block = model.double().blocks[0]
    tokens = torch.randn(2, 4 * 3, 8, dtype=torch.double)
    tokens[:, :5] += 2
    statistics = build_statistics(dict(STATISTICS[name], size=(32, 32)) if name == 'local' else STATISTICS[name])
    statistics.begin(64, 48, 16)
    if statistics.observes:
        statistics.observe(tokens)

    def attend(x):
        return block.attn.add_to(x, block.norm1(x), torch.ones(2, 1, 8).double(), statistics.moments(0, 4, 3))

    assert torch.autograd.gradcheck(attend, tokens.requires_grad_(), fast_mode=True)


@pytest.mark.parametrize('with_cp', [False, True])
def test_training_updates_every_parameter(with_cp):
    torch.manual_seed(5)
    model = XCiT(ARCH, out_indices=(2, ), pyramid=False, with_cp=with_cp).train()
    model(scene().float(), build_statistics('mixture'))[0].square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    if with_cp:
        other = XCiT(ARCH, out_indices=(2, ), pyramid=False).train()
        other.load_state_dict({name: value for name, value in model.state_dict().items() if 'running' not in name
                               and 'tracked' not in name}, strict=False)
        other(scene().float(), build_statistics('mixture'))[0].square().mean().backward()
        for name, parameter in other.named_parameters():
            torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-5, rtol=1e-3)


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


def test_recorded_statistics_need_safetensors(monkeypatch):
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(InputError, match=r"run pip install 'xcit_mm\[safetensors\]'"):
        build_statistics(dict(type='frozen', file='a.safetensors'))
