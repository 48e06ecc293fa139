"""Find the weights and the classes in a checkpoint's contents."""
import pytest
import torch

from xcit_mm import checkpoints
from xcit_mm.errors import InputError

WEIGHTS = {'weight': torch.ones(1), 'bias': torch.zeros(1)}
AVERAGED = {f'module.{key}': value for key, value in WEIGHTS.items()}


@pytest.mark.parametrize('content', [
    dict(ema=WEIGHTS), dict(params_ema=WEIGHTS), dict(ema_state_dict=AVERAGED | dict(steps=torch.tensor(3))),
    dict(ema=dict(module=WEIGHTS, updates=7), optimizer=dict(state={0: dict(exp_avg=torch.ones(1))})),
    dict(ema=AVERAGED | dict(n_averaged=torch.tensor(3))), dict(average=dict(shadow=WEIGHTS, decay=0.9)),
    dict(model=dict(name='xcit'), params_ema=WEIGHTS), dict(state_dict=WEIGHTS, ema=dict(weight=torch.zeros(1))),
])
def test_weights_in_nested_averages_are_found(content):
    found = checkpoints.get_state_dict(content)
    assert found.keys() == WEIGHTS.keys() and all(torch.equal(found[key], WEIGHTS[key]) for key in WEIGHTS)


def test_several_state_dicts_with_other_names_are_not_guessed():
    with pytest.raises(InputError, match=r'it holds several state dicts \(first, second\)'):
        checkpoints.get_state_dict(dict(first=WEIGHTS, second=WEIGHTS))


def test_two_keys_for_one_weight_are_refused():
    with pytest.raises(InputError, match='two of its keys name the same weight'):
        checkpoints.get_state_dict(WEIGHTS | {'module.weight': torch.zeros(1)})


@pytest.mark.parametrize('meta, classes', [
    (dict(dataset_meta=dict(classes=('cell', 'cup'))), ('cell', 'cup')),
    (dict(dataset_meta=dict(CLASSES=('cell', 'cup'))), ('cell', 'cup')),
    (dict(CLASSES=['cell', 'cup'], PALETTE=None), ['cell', 'cup']),
    (dict(CLASSES='cell'), ('cell', )),
    (dict(dataset_meta=None), None), (None, None), ('text', None)])
def test_classes_of_every_generation_are_read(meta, classes):
    assert checkpoints.get_dataset_meta(dict(meta=meta)).get('classes') == classes
