"""A config's task and scope are recognised, whichever project it belongs to."""
import pytest
from detection import needs_mmdet
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.models import EncoderDecoder

from xcit_mm.config_contents import is_detector, use_default_scope


def config(scope, model=None, *pipeline):
    data = dict(test_dataloader=dict(dataset=dict(type='A', pipeline=list(pipeline)))) if pipeline else {}
    return Config(dict(default_scope=scope, model=dict(type=model), **data))


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmengine', 'ourproject', None])
@pytest.mark.parametrize('packs', ['Det', 'Seg'])
@pytest.mark.parametrize('spell', [
    lambda name: dict(type=name), lambda name: dict(type=f'anywhere.{name}'),
    lambda name: dict(type='TestTimeAug', transforms=[[dict(type='Resize')], [dict(type=name)]])])
def test_the_pipeline_tells_a_detector_in_every_scope(scope, packs, spell):
    assert is_detector(config(scope, None, spell(f'Pack{packs}Inputs'))) == (packs == 'Det')


@pytest.mark.parametrize('pipeline', [(), (dict(type='OurPacking'), )])
def test_the_class_tells_a_segmentor_without_a_known_pipeline(pipeline):
    for scope in ('mmseg', 'mmdet'):
        assert not is_detector(config(scope, EncoderDecoder, *pipeline))
        assert not is_detector(config(scope, 'mmseg.EncoderDecoder', *pipeline))


@needs_mmdet
@pytest.mark.parametrize('scope', ['mmseg', 'mmdet'])
def test_the_class_tells_a_detector_without_a_pipeline(scope):
    from mmdet.models import MaskRCNN

    assert is_detector(config(scope, MaskRCNN)) and is_detector(config(scope, 'mmdet.MaskRCNN'))


def test_the_scope_tells_if_the_class_is_unknown():
    assert is_detector(config('mmdet', 'Unheard')) and not is_detector(config('mmseg', 'Unheard'))


@pytest.mark.parametrize('inner', ['mmseg', 'mmdet'])
def test_the_scope_is_restored(inner):
    with DefaultScope.overwrite_default_scope('mmseg'):
        before = dict(DefaultScope._instance_dict)
        with use_default_scope(config(inner)):
            assert DefaultScope.get_current_instance().scope_name == inner
        assert DefaultScope.get_current_instance().scope_name == 'mmseg'
        assert set(DefaultScope._instance_dict) == set(before)
