"""Running in bands of rows matches running on the whole image, for any band height, image size and architecture."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmseg.models import SegDataPreProcessor
from mmseg.models.decode_heads import FCNHead

from xcit_mm import XCiT
from xcit_mm.errors import InputError
from xcit_mm.inference import scene
from xcit_mm.inference.bands import backbone as banded_backbone
from xcit_mm.inference.modes import footprint
from xcit_mm.inference.scene import Normalised
from xcit_mm.inference.segmentation import Options, Segmentation
from xcit_mm.ops import winograd
from xcit_mm.ops.row_operations import Pointwise
from xcit_mm.ops.rows import Rows, Stored
from xcit_mm.statistics import ImageStatistics
from xcit_mm.variants import ARCHITECTURES, get_variant

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
TINY = dict(embed_dim=16, depth=4, num_heads=2, patch_size=8)
LARGE = [arch for arch in ARCHITECTURES if '24' in arch]


def build(head, arch=TINY, **changes):
    """Build a segmentor with narrow heads, and with weights that would expose a wrong order or scale."""
    config = Config.fromfile(CONFIGS / f'xcit_{head}_ade20k.py')
    channels = get_variant(arch).embed_dim
    config.model.backbone.arch, config.model.backbone.init_cfg = arch, None
    config.merge_from_dict({f'model.{key}': value for key, value in changes.items()})
    config.model.decode_head.update(in_channels=[channels] * 4, channels=16, num_classes=7)
    config.model.pop('auxiliary_head', None)
    if head == 'sem_fpn':
        config.model.neck.update(in_channels=[channels] * 4, out_channels=channels)
    torch.manual_seed(0)
    init_default_scope('mmseg')
    model = MODELS.build(config.model).eval()
    for name, tensor in model.state_dict().items():
        leaf = name.rsplit('.', 1)[-1]
        if leaf in ('running_var', 'gamma1', 'gamma2', 'gamma3'):
            tensor.uniform_(0.5, 1.5)
        elif leaf in ('running_mean', 'bias'):
            tensor.normal_(std=0.1)
    return model


def run_bands(model, image, size=None, mode='banded'):
    """Return the bands computed for an (H, W, 3) image, which is normalised but not resized."""
    pixels = Normalised(Stored(image), model.data_preprocessor)
    return Segmentation(model, lambda: scene.Scene(pixels, size or image.shape[:2]), Options(mode))


def compare(model, height, width, size=None, channels=3):
    """Compare the bands with the whole image: check their labels, and return the relative error of their logits."""
    image = torch.randint(0, 256, (height, width, channels), dtype=torch.uint8)
    size = size or (height, width)
    with torch.inference_mode():
        inputs = model.data_preprocessor(dict(inputs=[image.permute(2, 0, 1)], data_samples=None))['inputs']
        whole = model.encode_decode(inputs, [dict(img_shape=(height, width))])
        whole = torch.nn.functional.interpolate(whole, size, mode='bilinear')[0].permute(1, 2, 0)
        parts = list(run_bands(model, image, size))
        bands, labels = torch.cat([part.scores for part in parts]), torch.cat([part.labels for part in parts])
    error = ((bands - whole).abs().max() / whole.abs().max()).item()
    best = whole.topk(2).values
    clear = best[..., 0] - best[..., 1] > 1e-4 * whole.abs().max()
    assert clear.float().mean() > 0.9 and torch.equal(labels[clear].long(), whole.argmax(-1)[clear])
    return error


@pytest.mark.parametrize('tokens, rows, size', [(1, 1, 1), (10, 3, 5000), (33, 16, 10**9), (10**9, 10**9, 10**9)])
@pytest.mark.parametrize('head', ['upernet', 'sem_fpn'])
def test_any_band_and_any_size(monkeypatch, head, tokens, rows, size):
    monkeypatch.setattr(winograd, 'LEAST_CHANNELS', 1 if rows == 3 else 384)
    monkeypatch.setattr(banded_backbone, 'BAND_TOKENS', tokens)
    monkeypatch.setattr(banded_backbone, 'STEM_TOKENS', tokens)
    monkeypatch.setattr(footprint, 'logit_rows', lambda width: rows)
    monkeypatch.setattr(scene, 'BAND_BYTES', size)
    model = build(head)
    for size in [(71, 53), (33, 90), (8, 1)]:
        assert compare(model, *size) < 1e-5


@pytest.mark.parametrize('changes', [
    {'decode_head.align_corners': True}, {'decode_head.type': 'EfficientUPerHead'}, {'decode_head.norm_cfg': None},
    {'backbone.out_indices': (0, 0, 1, 2)}, {'backbone.attention': 'direct'}], ids=str)
def test_what_a_config_may_change(changes):
    if 'decode_head.type' in changes:
        import xcit_mm.heads  # noqa: F401  # registers the head
    assert compare(build('upernet', **changes), 75, 90) < 1e-5


STRIDES = [(8, 16, 32), (16, ), (4, 64), (4, 8, 16, 32, 64)]


@pytest.mark.parametrize('patch_size', [8, 16])
@pytest.mark.parametrize('strides', STRIDES, ids=str)
def test_any_levels_of_the_backbone(strides, patch_size):
    backbone = XCiT(TINY | dict(patch_size=patch_size), out_strides=strides).eval()
    for size in [(71, 53), (33, 90), (8, 1)]:
        image = torch.randn(*size, 3)
        with torch.inference_mode():
            whole = backbone(image.permute(2, 0, 1)[None])
            bands = banded_backbone.compute_levels(backbone, Stored(image), ImageStatistics(), lambda share: None)
            for expected, rows in zip(whole, bands, strict=True):
                torch.testing.assert_close(rows.reader().read_all().permute(2, 0, 1), expected[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('channels', [1, 4, 13])
def test_images_of_any_number_of_channels(channels):
    model = build('upernet', **{'backbone.in_channels': channels})
    model.data_preprocessor = SegDataPreProcessor(mean=[100.], std=[50.]).eval()  # one mean and std for all channels
    assert compare(model, 75, 90, channels=channels) < 1e-5
    image = torch.zeros(32, 32, channels + 1, dtype=torch.uint8)
    model.data_preprocessor = SegDataPreProcessor().eval()
    with pytest.raises(InputError, match=f'the image has {channels + 1} channels, but the backbone expects {channels}'):
        list(run_bands(model, image))


def test_logits_of_another_size_than_the_networks():
    assert compare(build('upernet'), 64, 80, size=(150, 171)) < 1e-5


@pytest.mark.parametrize('arch', [
    pytest.param(arch, marks=[pytest.mark.slow] if arch in LARGE else []) for arch in ARCHITECTURES])
def test_every_architecture(arch):
    assert compare(build('upernet', arch), 72, 104) < 1e-4


@pytest.mark.parametrize('head', ['upernet', 'sem_fpn'])
def test_each_row_is_computed_once_and_few_are_kept(monkeypatch, head):
    monkeypatch.setattr(footprint, 'logit_rows', lambda width: 2)
    model, read, most_kept = build(head), Rows._read, []
    for height in (256, 512):
        computed = {}

        def spy(node, start, stop, computed=computed):
            before, result = node._end, read(node, start, stop)
            computed.setdefault(node, []).extend(range(before, node._end))
            return result

        monkeypatch.setattr(Rows, '_read', spy)
        image = torch.zeros(height, 64, 3, dtype=torch.uint8)
        kept = [sum(node._kept.numel() for node in computed if node._kept is not None)
                for _ in run_bands(model, image)]
        assert len(computed) > 40 and all(rows == list(range(node.height)) for node, rows in computed.items())
        most_kept.append(max(kept))
    assert most_kept[0] == most_kept[1] > 0


def test_a_stored_map_is_read_anywhere():
    assert torch.equal(Stored(torch.arange(12.).view(4, 3, 1)).reader().read(1, 3), torch.arange(3., 9).view(2, 3, 1))


def test_one_class_is_compared_with_its_threshold():
    model = build('upernet', **{'decode_head.out_channels': 1, 'decode_head.threshold': 0.4})
    model.decode_head.num_classes = 2
    image = torch.randint(0, 256, (64, 64, 3), dtype=torch.uint8)
    parts = list(run_bands(model, image))
    scores, labels = torch.cat([part.scores for part in parts]), torch.cat([part.labels for part in parts])
    assert torch.equal(labels.bool(), scores[..., 0] > 0.4) and 0 < labels.float().mean() < 1


def test_modules_that_cannot_run_in_bands_are_named():
    image = torch.zeros(32, 32, 3, dtype=torch.uint8)
    model = build('upernet')
    model.decode_head = FCNHead(in_channels=16, in_index=0, channels=8, num_classes=2).eval()
    with pytest.raises(InputError, match='FCNHead cannot run in bands of rows, only EfficientUPerHead, FPN, FPNHead'):
        run_bands(model, image)
    with pytest.raises(InputError, match='cannot run UPerHead in bands of rows: .*conv is a ConvWS2d'):
        changes = {'decode_head.type': 'UPerHead', 'decode_head.conv_cfg': dict(type='ConvWS')}
        run_bands(build('upernet', **changes), image)
    with pytest.raises(InputError, match='an FPN with extra or missing levels'):
        run_bands(build('sem_fpn', **{'neck.start_level': 1, 'neck.num_outs': 3}), image)
    with pytest.raises(InputError, match='in eval mode'):
        run_bands(build('upernet').train(), image)
    model = build('upernet')
    model.backbone = torch.nn.Identity().eval()
    with pytest.raises(InputError, match='backbone Identity cannot run in bands'):
        run_bands(model, image)


def test_a_read_of_freed_rows_fails():
    rows = Pointwise(Stored(torch.zeros(4, 1, 1)), lambda x: x)
    reader = rows.reader()
    reader.read(0, 3)
    with pytest.raises(AssertionError, match='rows 1 to 3 are not available'):
        reader.read(1, 3)
