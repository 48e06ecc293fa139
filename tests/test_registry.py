"""Any MM project can find the backbone from its own scope, through the root registry."""
from mmengine.registry import MODELS, Registry

from xcit_mm import XCiT

TINY = dict(type='XCiT', arch=dict(embed_dim=16, depth=2, num_heads=2, patch_size=8))


def test_child_registry_falls_back_to_the_root():
    child = Registry('model', parent=MODELS, scope='probe')
    try:
        assert child.get('XCiT') is XCiT
        assert isinstance(child.build(TINY), XCiT)
    finally:
        MODELS._children.pop('probe')


def test_explicit_root_scope_works():
    assert isinstance(MODELS.build(TINY | dict(type='mmengine.XCiT')), XCiT)
