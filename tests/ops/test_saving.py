"""A chain of modules can be differentiated twice, reports modifications and frees what it saved."""
import gc
import weakref
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from benchmarks.measurement import count_saved_bytes
from torch import nn

from xcit_mm.ops import saving
from xcit_mm.ops.saving import run_chain


@pytest.fixture(autouse=True)
def every_map_is_large(monkeypatch):
    """Save less for small maps too, so that tests are fast."""
    monkeypatch.setattr(saving, 'LARGE', 0)


def softmax(x):
    """Apply a step that saves its own output."""
    return x.softmax(dim=-1)


@pytest.mark.parametrize('old_torch', [False, True])
def test_first_and_second_derivatives(old_torch, monkeypatch):
    if old_torch:  # which cannot tell whether there are hooks
        monkeypatch.setattr(saving, '_has_hooks', lambda: True)
    torch.manual_seed(0)
    norm, act, first, last = nn.LayerNorm(3), nn.GELU(), nn.Linear(3, 4), nn.Linear(4, 2)
    batch_norm, conv = nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3)
    modules = nn.ModuleList([norm, first, act, last, batch_norm, conv]).double()
    x = torch.randn(2, 4, 5, 3, dtype=torch.double, requires_grad=True)

    def run(x, *parameters):
        y = run_chain(x, norm, first, act, last)
        return run_chain(y.permute(0, 3, 1, 2), act, batch_norm, conv)

    assert torch.autograd.gradcheck(run, (x, *modules.parameters()))
    assert torch.autograd.gradgradcheck(run, (x, *modules.parameters()))


def test_modified_parameters_are_reported():
    norm, conv = nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)
    y = run_chain(torch.randn(2, 3, 4, 5, requires_grad=True), norm, conv)
    with torch.no_grad():
        norm.bias += 1
    with pytest.raises(RuntimeError, match='has been modified'):
        y.sum().backward()


@pytest.mark.parametrize('enabled', [True, False])
def test_outputs_are_computed_again_under_the_same_autocast(enabled, monkeypatch):
    states, gelu = [], F.gelu
    monkeypatch.setattr(
        F, 'gelu', lambda x, **options: (states.append(torch.is_autocast_enabled('cpu')), gelu(x, **options))[1])
    with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
        y = run_chain(torch.randn(4, 3, requires_grad=True), nn.Linear(3, 3), nn.GELU(), nn.Linear(3, 3))
    with torch.autocast('cpu', torch.bfloat16, enabled=not enabled):
        y.sum().backward()
    assert states == [enabled, enabled]


def test_transforms_of_functions_still_work():
    norm, linear = nn.LayerNorm(3), nn.Linear(3, 3)
    x = torch.randn(4, 3, requires_grad=True)
    expected, = torch.autograd.grad(run_chain(x, norm, linear).sum(), x)
    torch.testing.assert_close(torch.func.grad(lambda x: run_chain(x, norm, linear).sum())(x), expected)


def test_nothing_outlives_the_graph():
    gc.disable()
    try:
        x = torch.randn(4, 3, requires_grad=True).clone()
        source = weakref.ref(x)
        y = run_chain(x, nn.LayerNorm(3), nn.Linear(3, 3), nn.GELU(), softmax, nn.LayerNorm(3), softmax)
        del x
        assert source() is not None
        del y
        assert source() is None
    finally:
        gc.enable()


def test_a_modified_weight_of_a_product_is_reported():
    norm, linear = nn.LayerNorm(3), nn.Linear(3, 3)
    y = run_chain(torch.randn(4, 3, requires_grad=True), norm, linear)
    with torch.no_grad():
        linear.weight *= 2
    with pytest.raises(RuntimeError, match='modified'):
        y.sum().backward()


def test_a_step_can_change_its_input_in_place():
    norm, weight = nn.LayerNorm(3), torch.randn(5, 3, requires_grad=True)
    x = torch.randn(4, 3, requires_grad=True)
    found, = torch.autograd.grad(run_chain(x, norm, lambda y: F.linear(y.mul_(2), weight)).sum(), weight)
    expected, = torch.autograd.grad(F.linear(norm(x) * 2, weight).sum(), weight)
    torch.testing.assert_close(found, expected)


def test_parameters_can_be_replaced_for_one_call():
    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.steps = nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 3))

        def forward(self, x):
            return run_chain(x, *self.steps)

    chain, x = Chain(), torch.randn(4, 3, requires_grad=True)
    others = {name: (value.detach() + torch.rand_like(value)).requires_grad_() for name, value in
              chain.named_parameters()}
    y = torch.func.functional_call(chain, others, (x, ))
    expected = F.linear(F.layer_norm(x, (3, ), *list(others.values())[:2]), *list(others.values())[2:])
    for found, wanted in zip(*(torch.autograd.grad(z.square().sum(), list(others.values())) for z in (y, expected))):
        torch.testing.assert_close(found, wanted)


def test_small_maps_are_saved(monkeypatch):
    monkeypatch.setattr(saving, 'LARGE', 100)
    layers = nn.LayerNorm(8), nn.Linear(8, 8)
    for elements, copies in ((96, 2), (104, 1)):
        x = torch.randn(1, elements // 8, 8, requires_grad=True)
        saved = count_saved_bytes(partial(run_chain, x, *layers))
        assert copies <= saved / x.nbytes < copies + 0.6  # plus the mean and the deviation of each token
