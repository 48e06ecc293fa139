"""The test pipeline is built once for all images, in the config's own scope."""
import mmseg.registry
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope, Registry
from segmentors import build, digits_config

from xcit_mm.apis import inference_segmentor, init_model
from xcit_mm.inference import pipeline

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 71, 3), dtype=np.uint8)


@pytest.fixture
def project():
    """Return the name of a project whose registries are children of mmseg's."""
    parents = [mmseg.registry.MODELS, mmseg.registry.TRANSFORMS, mmseg.registry.DATASETS]
    for parent in parents:
        Registry(parent.name, scope='ourproject', parent=parent)
    yield 'ourproject'
    for parent in parents:
        del parent.children['ourproject']


def test_a_project_has_a_scope_of_its_own(project):
    expected = inference_segmentor(build(), IMAGE)
    config = digits_config()
    config.default_scope = project
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        ours = init_model(config)
        sample = inference_segmentor(ours, IMAGE)
    assert torch.equal(sample.pred_sem_seg.data, expected.pred_sem_seg.data)


def test_the_pipeline_is_built_once_for_a_list(monkeypatch):
    built, compose = [], pipeline.Compose
    monkeypatch.setattr(pipeline, 'Compose', lambda steps: built.append(steps) or compose(steps))
    inference_segmentor(build(), [IMAGE, IMAGE, IMAGE])
    assert len(built) == 1


def test_inference_leaves_the_default_scope_alone():
    model = build()
    with DefaultScope.overwrite_default_scope('mmdet'):
        before = set(DefaultScope._instance_dict)
        for _ in range(2):
            inference_segmentor(model, IMAGE)
        assert set(DefaultScope._instance_dict) == before
        assert DefaultScope.get_current_instance().scope_name == 'mmdet'


def test_progress_covers_all_images_of_a_list():
    shares = []
    inference_segmentor(build(), [IMAGE, IMAGE[:32]], progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1 and 0.5 in shares
