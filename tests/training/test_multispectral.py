"""A model for any number of spectral bands starts from RGB weights, trains, and predicts the same in every mode."""
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.errors import InputError
from xcit_mm.inference.preprocessor import BandPreProcessor

CONFIG = """
_base_ = __import__('xcit_mm').config_path('xcit_upernet_digits.py')
loading = dict(type='LoadImageFromFile', imdecode_backend='tifffile')
pipeline = [loading, dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
dataset = dict(img_suffix='.tif', pipeline=pipeline)
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dataset)
val_dataloader = dict(num_workers=0, dataset=dataset)
test_dataloader = val_dataloader
model = dict(
    data_preprocessor=dict(
        _delete_=True, type='xcit_mm.inference.preprocessor.BandPreProcessor', mean=[100.0] * {bands},
        std=[50.0] * {bands}, size=(128, 128)),
    backbone=dict(in_channels={bands}))
train_cfg = dict(max_iters=3, val_interval=3)
"""


@pytest.fixture
def multispectral(scenes, tmp_path):
    """Return a function that writes the scenes with additional bands and returns their folder."""
    def write(bands):
        random = np.random.default_rng(0)
        for path in scenes.glob('images/*/*.png'):
            rgb = np.asarray(Image.open(path).convert('RGB'))
            others = random.integers(0, 256, (*rgb.shape[:2], bands - 3), dtype=np.uint8)
            target = tmp_path / 'data' / path.relative_to(scenes).with_suffix('.tif')
            target.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(target, np.dstack([rgb, others]), photometric='minisblack', planarconfig='contig')
        (tmp_path / 'data/masks').symlink_to(scenes / 'masks')
        return tmp_path / 'data'

    return write


@pytest.mark.parametrize('bands', [4, 13])
def test_training_from_rgb_weights(run_here, multispectral, tmp_path, bands):
    data, rgb = multispectral(bands), init_model('configs/xcit_upernet_digits.py', device='cpu')
    torch.save(rgb.state_dict(), tmp_path / 'rgb.pth')
    config = tmp_path / 'bands.py'
    config.write_text(CONFIG.replace('{bands}', str(bands)))
    assert run_here('train', config, '--work-dir', tmp_path / 'run', '--cfg-options', f'data_root={data}',
                    f'load_from={tmp_path / "rgb.pth"}') is None
    model = init_model(config, tmp_path / 'run/iter_3.pth', device='cpu')
    assert model.backbone.patch_embed.proj[0][0].weight.shape[1] == bands
    image = next(data.glob('images/val/*.tif'))
    whole, banded = (inference_segmentor(model, image, mode, return_logits=True).seg_logits.data
                     for mode in ('whole', 'banded'))
    assert (whole - banded).abs().max() <= 1e-5 * whole.abs().max()


@pytest.mark.parametrize('arguments', [
    dict(mean=[1.0] * 4, std=[1.0] * 3), dict(mean=[1.0], std=[0.0]),
    dict(mean=[1.0] * 4, std=[1.0] * 4, bgr_to_rgb=True)])
def test_impossible_normalisation_is_refused(arguments):
    with pytest.raises(InputError, match='data_preprocessor'):
        BandPreProcessor(**arguments)


def test_three_bands_are_normalised_as_by_mmseg():
    from mmseg.models import SegDataPreProcessor

    facts = dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], bgr_to_rgb=True)
    data = dict(inputs=[torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)], data_samples=None)
    expected, actual = (kind(**facts)(data)['inputs'] for kind in (SegDataPreProcessor, BandPreProcessor))
    assert torch.equal(actual, expected)
