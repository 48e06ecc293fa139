"""MMEngine finds our types by the dotted paths that configs use."""
import pytest
from mmengine import registry


@pytest.mark.parametrize('name, path', [
    ('RUNNERS', 'xcit_mm.training.StrictRunner'),
    ('RUNNERS', 'xcit_mm.training.strategy_runner.StrictFlexibleRunner'),
    ('OPTIM_WRAPPER_CONSTRUCTORS', 'xcit_mm.training.XCiTLayerDecayConstructor'),
    ('STRATEGIES', 'xcit_mm.training.fsdp.CorrectedFSDPStrategy'),
    ('FUNCTIONS', 'xcit_mm.training.fsdp.each_xcit_block'),
    *(('HOOKS', f'xcit_mm.training.hooks.{hook}') for hook in (
        'CompleteCheckpointHook', 'InvalidLossHook', 'LabelRangeHook', 'TerminationHook')),
])
def test_registry_finds_dotted_path(name, path):
    assert getattr(registry, name).get(path).__name__ == path.rpartition('.')[2]
