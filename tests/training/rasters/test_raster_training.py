"""A config of a few lines trains on one raster, evaluates another, and segments it with the same bands."""
import numpy as np
import pytest
import rasterio
from mmengine.config import Config
from rasters import draw_polygons, random_bands, write_raster

from xcit_mm.apis import init_model, segment_file
from xcit_mm.config import load_config
from xcit_mm.errors import InputError
from xcit_mm.inference.pipeline import prepare_image, read_as_shown

CONFIG = '''
_base_ = __import__('xcit_mm').config_path('xcit_upernet_raster.py')
data_root = {root!r}
train_pairs = [('one.tif', 'one.gpkg')]
val_pairs = [('two.tif', 'two.tif.labels.tif')]
classes = ('field', 'forest', 'water')
bands = (4, 3, 2, 1)
mean, std = [9000.0] * 4, [5000.0] * 4
window = (64, 64)
model = dict(
    backbone=dict(arch=dict(_delete_=True, embed_dim=16, depth=2, num_heads=2, patch_size=16)),
    decode_head=dict(in_channels=[16] * 4, channels=16), auxiliary_head=dict(in_channels=16, channels=16))
train_cfg = dict(max_iters=3, val_interval=3)
__import__('xcit_mm').apply_raster_settings(globals())
'''
QUICK = ['train_dataloader.num_workers=0', 'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0',
         'default_hooks.checkpoint.interval=3']


@pytest.fixture
def config(tmp_path):
    """Return a config file whose evaluation raster has a margin and a hole without data."""
    bands = random_bands(5, 'uint16')
    write_raster(tmp_path / 'one.tif', bands)
    draw_polygons(tmp_path / 'one.gpkg', [[(0, 0), (141, 0), (141, 200), (0, 200)], [(0, 200), (50, 200), (50, 301)]],
                  ['forest', 'water'])
    bands[:, :70] = bands[:, 150:170, 50:60] = 0
    write_raster(tmp_path / 'two.tif', bands, nodata=0)
    write_raster(tmp_path / 'two.tif.labels.tif', np.random.default_rng(0).integers(0, 3, (1, 301, 141), np.uint8))
    (tmp_path / 'mine.py').write_text(CONFIG.format(root=str(tmp_path)))
    return tmp_path / 'mine.py'


def test_settings_reach_every_part(config):
    settings = Config.fromfile(config)
    for split in ('train', 'val', 'test'):
        data = settings[f'{split}_dataloader'].dataset
        assert (tuple(data.bands), data.mean, len(data.metainfo.classes)) == ((4, 3, 2, 1), [9000.0] * 4, 3)
    assert data.pairs == settings.val_pairs and settings.train_dataloader.dataset.pairs == settings.train_pairs
    model = settings.model
    assert model.data_preprocessor.mean == [9000.0] * 4 and model.data_preprocessor['size'] == (64, 64)
    assert model.backbone.in_channels == 4 and model.backbone.arch.embed_dim == 16
    assert model.decode_head.num_classes == model.auxiliary_head.num_classes == 3


@pytest.mark.parametrize('change', ['bands = (1, 2, 3)', 'mean = [1.0]', 'bands, mean, std = (1, 2), [1.0], [2.0]'])
def test_a_mean_and_a_deviation_for_each_band_are_required(config, change):
    config.write_text(config.read_text().replace('window = (64', f'{change}\nwindow = (64'))
    with pytest.raises(InputError, match='needs a mean and a std for each band, but has'):
        load_config(config)


@pytest.mark.slow
def test_training_and_evaluation_of_rasters(run_here, config, tmp_path, capsys):
    assert run_here('train', config, '--work-dir', tmp_path / 'run', '--cfg-options', *QUICK) is None
    assert run_here('test', config, tmp_path / 'run/iter_3.pth', '--work-dir', tmp_path / 'run', '--out',
                    tmp_path / 'out', '--show-dir', tmp_path / 'shown', '--cfg-options', *QUICK) is None
    printed = capsys.readouterr().out
    assert 'mIoU:' in printed and (tmp_path / 'shown/two_overlay.png').exists()
    segment_file(init_model(config, tmp_path / 'run/iter_3.pth'), tmp_path / 'two.tif', tmp_path / 'out')
    with rasterio.open(tmp_path / 'out/two_classes.tif') as file, rasterio.open(
            next((tmp_path / 'out').glob('two*.png'))) as evaluated, rasterio.open(
            tmp_path / 'two.tif.labels.tif') as truth:
        labels, truth = file.read(1), truth.read(1)
        assert np.array_equal(labels, evaluated.read(1))
    assert (labels[:70] == 255).all() and (labels[150:170, 50:60] == 255).all() and (labels[170:] != 255).all()
    valid = labels != 255
    pairs = [(labels[valid] == index, truth[valid] == index) for index in range(3)]
    score = np.mean([(found & true).sum() / (found | true).sum() for found, true in pairs])
    assert float(printed.rpartition('mIoU: ')[2].split()[0]) == pytest.approx(100 * score, abs=0.01)


def test_arrays_and_files_are_read_with_the_bands_of_the_config(config, tmp_path):
    settings = load_config(config)
    with rasterio.open(tmp_path / 'two.tif') as file:
        expected = file.read([4, 3, 2, 1])
    assert np.array_equal(prepare_image(settings, tmp_path / 'two.tif')['inputs'].numpy(), expected)
    assert read_as_shown(settings, tmp_path / 'two.tif').shape == (301, 141, 3)


def test_missing_rasters_are_named_before_training(run_here, config, tmp_path):
    (tmp_path / 'two.tif').unlink()
    message = run_here('train', config, '--work-dir', tmp_path / 'run')
    assert 'cannot find val data:' in message and 'two.tif' in message and not (tmp_path / 'run').exists()
