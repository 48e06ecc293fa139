from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from mmseg.datasets import ADE20KDataset
from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs

from xcit_mm import apis
from xcit_mm.apis import inference_detector, inference_segmentor, init_model
from xcit_mm.datasets import digits
from xcit_mm.errors import InputError

CONFIG = Path(__file__).resolve().parents[1] / 'configs/xcit_upernet_digits.py'


@pytest.fixture(scope='module')
def model():
    return init_model(CONFIG)


@pytest.fixture
def image_file(tmp_path):
    path = tmp_path / 'photo.png'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (50, 71, 3), dtype=np.uint8))
    return path


def test_result_has_the_size_of_the_image(model, image_file):
    sample = inference_segmentor(model, image_file, return_logits=True)
    assert sample.pred_sem_seg.data.shape == (1, 50, 71)
    assert sample.seg_logits.data.shape == (11, 50, 71)
    assert torch.equal(sample.seg_logits.data.argmax(0), sample.pred_sem_seg.data[0])


def test_result_has_the_original_size_despite_a_resizing_pipeline(image_file):
    config = Config.fromfile(CONFIG)
    pipeline = config.test_dataloader.dataset.pipeline
    config.test_dataloader.dataset.pipeline = [
        pipeline[0], dict(type='Resize', scale=(128, 96), keep_ratio=True), *pipeline[1:]]
    assert inference_segmentor(init_model(config), image_file).pred_sem_seg.data.shape == (1, 50, 71)


def test_paths_arrays_and_lists_give_the_same_result(model, image_file):
    array = cv2.imread(str(image_file))
    by_path = inference_segmentor(model, str(image_file), return_logits=True)
    by_array, again = inference_segmentor(model, [array, image_file], return_logits=True)
    for other in (by_array, again):
        assert torch.equal(by_path.seg_logits.data, other.seg_logits.data)
    assert by_path.img_path == again.img_path == str(image_file) and by_array.img_path is None
    small = inference_segmentor(model, [array, array[:32, :40]])
    assert small[1].pred_sem_seg.data.shape == (1, 32, 40)


def test_grey_arrays_are_accepted(model):
    grey = np.zeros((32, 40), np.uint8)
    assert inference_segmentor(model, grey).pred_sem_seg.data.shape == (1, 32, 40)


@pytest.mark.parametrize('wrapped', [True, False])
def test_init_model_loads_checkpoints_and_raw_state_dicts(model, tmp_path, image_file, wrapped):
    weights = model.state_dict()
    torch.save(dict(state_dict=weights, meta=dict()) if wrapped else weights, tmp_path / 'weights.pth')
    loaded = init_model(str(CONFIG), tmp_path / 'weights.pth')
    assert loaded.dataset_meta['classes'][1] == '0' and len(loaded.dataset_meta['palette']) == 11
    assert torch.equal(*(inference_segmentor(each, image_file, return_logits=True).seg_logits.data
                         for each in (model, loaded)))


@pytest.mark.parametrize('wrap', [
    lambda data: dict(type='RepeatDataset', dataset=data, times=2),
    lambda data: dict(type='ConcatDataset', datasets=[data, data]),
])
def test_wrapped_test_data_provides_pipeline_and_classes(model, image_file, wrap):
    config = Config.fromfile(CONFIG)
    config.test_dataloader.dataset = wrap(config.test_dataloader.dataset)
    wrapped = init_model(config)
    assert wrapped.dataset_meta == model.dataset_meta
    assert inference_segmentor(wrapped, image_file).pred_sem_seg.data.shape == (1, 50, 71)


@pytest.mark.parametrize('spell', [
    lambda kind: f'mmseg.{kind.__name__}', lambda kind: f'{kind.__module__}.{kind.__name__}', lambda kind: kind])
def test_pipeline_types_can_be_scoped_names_dotted_paths_or_classes(image_file, spell):
    config = Config.fromfile(CONFIG)
    config.model.decode_head.num_classes = 150
    config.test_dataloader.dataset = dict(type=spell(ADE20KDataset), pipeline=[
        dict(type=spell(LoadImageFromFile)),
        dict(type=spell(LoadAnnotations)), dict(type=spell(PackSegInputs))])
    model = init_model(config)
    assert len(model.dataset_meta['classes']) == 150
    assert inference_segmentor(model, image_file).pred_sem_seg.data.shape == (1, 50, 71)


def test_images_are_read_with_the_arguments_of_the_pipeline(model, image_file):
    config = Config.fromfile(CONFIG)
    config.test_dataloader.dataset.pipeline = [
        dict(type='LoadImageFromFile', color_type='color_ignore_orientation', to_float32=True),
        dict(type='PackSegInputs')]
    seen = []
    other = init_model(config)
    other.data_preprocessor.register_forward_pre_hook(lambda module, args: seen.append(args[0]['inputs'][0]))
    inference_segmentor(other, image_file)
    assert seen[0].dtype == torch.float32
    other.backbone.forward = lambda x: 1 / 0  # instead of the real one, which needs three channels
    config.test_dataloader.dataset.pipeline[0].color_type = 'grayscale'
    with pytest.raises(ZeroDivisionError):
        inference_segmentor(other, image_file, 'whole')
    assert seen[-1].shape == (1, 50, 71)


def test_classes_without_names_or_colours_get_defaults():
    config = Config.fromfile(CONFIG)
    del config.test_dataloader.dataset['metainfo']
    meta = init_model(config).dataset_meta
    assert meta['classes'] == tuple('0 1 2 3 4 5 6 7 8 9 10'.split())
    assert np.shape(meta['palette']) == (11, 3)
    config.test_dataloader.dataset.metainfo = dict(classes=digits.CLASSES)
    meta = init_model(config).dataset_meta
    assert meta['classes'] == digits.CLASSES and np.shape(meta['palette']) == (11, 3)


def test_error_names_the_missing_test_data_of_a_config():
    config = Config.fromfile(CONFIG)
    config.pop('test_dataloader')
    with pytest.raises(InputError, match='test_dataloader'):
        init_model(config)


@pytest.mark.parametrize('device', ['cuda:99', 'nonsense'])
def test_error_names_a_missing_device(device):
    with pytest.raises(InputError, match=f'cannot use the device {device}'):
        init_model(CONFIG, device=device)


@pytest.mark.parametrize('image, words', [
    ('nowhere.png', 'no image file nowhere.png'),
    (CONFIG, 'not an image'),
    (np.zeros((8, 8, 2), np.uint8), r'\(8, 8, 2\)'),
    (np.zeros((8, 8, 3), np.float32), 'float32'),
    ([], 'empty'),
    (None, 'NoneType'),
])
def test_error_names_what_cannot_be_segmented(model, image, words):
    with pytest.raises(InputError, match=words):
        inference_segmentor(model, image)


def test_error_names_a_missing_file(tmp_path):
    with pytest.raises(InputError, match='no config file'):
        init_model(tmp_path / 'config.py')
    with pytest.raises(InputError, match='no checkpoint file'):
        init_model(CONFIG, tmp_path / 'weights.pth')


def test_config_provides_the_classes_without_a_checkpoint():
    config = Config.fromfile(CONFIG.with_name('xcit_upernet_ade20k.py'))
    config.model.backbone.arch = dict(embed_dim=16, depth=4, num_heads=2, patch_size=16)
    config.model.decode_head.update(in_channels=[16] * 4, channels=16)
    config.model.auxiliary_head.update(in_channels=16, channels=16)
    assert init_model(config).dataset_meta['classes'][:2] == ('wall', 'building')


@pytest.mark.parametrize('meta', [dict(CLASSES=tuple('abcdefghijk'), PALETTE=[[1, 2, 3]] * 11),
                                  dict(dataset_meta=dict(CLASSES=tuple('abcdefghijk'), PALETTE=[[1, 2, 3]] * 11))])
def test_classes_of_checkpoints_from_0x_and_2x_are_read(model, tmp_path, meta):
    torch.save(dict(state_dict=model.state_dict(), meta=meta), tmp_path / 'old.pth')
    loaded = init_model(str(CONFIG), tmp_path / 'old.pth').dataset_meta
    assert loaded['classes'] == tuple('abcdefghijk') and loaded['palette'][0] == [1, 2, 3]


def test_pretrained_in_a_config_object_points_to_init_cfg():
    config = Config.fromfile(CONFIG)
    config.model.pretrained = 'xcit.pth'
    with pytest.raises(InputError, match='model.backbone.init_cfg'):
        init_model(config)


def test_detections_are_moved_to_the_cpu(monkeypatch, model, image_file):
    class OnDevice(BaseDataElement):
        def cpu(self):
            return 'on the CPU'

    monkeypatch.setattr(apis, 'require_task', lambda model, task: None)  # this model is a segmentor
    monkeypatch.setattr(apis, 'predict', lambda model, data: OnDevice())
    assert inference_detector(model, image_file) == 'on the CPU'
