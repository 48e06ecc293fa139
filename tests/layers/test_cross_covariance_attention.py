"""Both forms of XCA compute the same function in every dtype, and the Gram form stores less for the backward pass."""
from functools import partial

import pytest
import torch
from benchmarks.measurement import count_saved_bytes

from xcit_mm.layers.block import XCiTBlock
from xcit_mm.layers.cross_covariance_attention import CrossCovarianceAttention
from xcit_mm.ops.second_moment import second_moment


def make_layer(channels, num_heads, form='gram', dtype=torch.float32, **arguments):
    torch.manual_seed(0)
    layer = CrossCovarianceAttention(channels, num_heads, form, **arguments).to(dtype)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=channels**-0.5)
    return layer


def relative_error(actual, expected):
    return ((actual.to(expected.dtype) - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize('batch, num_tokens, head_dim, num_heads', [
    (1, 1, 1, 1), (2, 3, 5, 7), (3, 50, 16, 4), (1, 700, 48, 8), (2, 33, 96, 1), (5, 300, 1, 12), (1, 20000, 8, 3)])
def test_gram_form_equals_direct_form(dtype, tolerance, batch, num_tokens, head_dim, num_heads):
    layer = make_layer(head_dim * num_heads, num_heads, dtype=dtype)
    x = torch.randn(batch, num_tokens, head_dim * num_heads, dtype=dtype, requires_grad=True)
    cotangent = torch.randn_like(x)
    results = []
    for form in ('gram', 'direct'):
        layer.form = form
        y = layer(x)
        results.append([y, *torch.autograd.grad(y, (x, *layer.parameters()), cotangent)])
    # A gradient that vanishes by symmetry is pure rounding error, so tolerances are relative to the largest gradient.
    scale = max(gradient.norm() for gradient in results[1][1:])
    assert relative_error(results[0][0], results[1][0]) < tolerance
    for actual, expected in zip(results[0][1:], results[1][1:]):
        assert (actual - expected).norm() < 10 * tolerance * max(expected.norm(), 0.01 * scale)


@pytest.mark.parametrize('form', ['gram', 'direct'])
def test_gradients_match_finite_differences(form):
    layer = make_layer(6, 2, form, torch.float64)
    x = torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True)
    parameters = [parameter.detach().requires_grad_() for parameter in layer.parameters()]
    names = [name for name, _ in layer.named_parameters()]

    def function(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values)), x)

    assert torch.autograd.gradcheck(function, (x, *parameters))
    assert torch.autograd.gradgradcheck(function, (x, *parameters))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('autocast', [True, False])
@pytest.mark.parametrize('gamma', [1.0, 1e-2, 1e-5])
def test_gram_form_is_as_accurate_as_direct_form_in_half_precision(dtype, autocast, gamma):
    layer = make_layer(96, 4, 'direct', torch.float64)
    x = 2 * torch.randn(2, 2000, 96, dtype=torch.float64) + torch.randn(96, dtype=torch.float64)
    scale = torch.full((2, 1, 96), gamma, dtype=torch.float64)
    expected = scale * layer(x)
    errors = {}
    for form in ('gram', 'direct'):
        layer.form = form
        low = torch.float32 if autocast else dtype
        with torch.autocast('cpu', dtype, enabled=autocast):
            actual = layer.to(low).add_to(torch.zeros_like(x, dtype=low), x.to(low), scale.to(low))
        errors[form] = relative_error(actual, expected)
        assert actual.dtype == low
        layer.to(torch.float64)
    assert errors['gram'] <= 1.05 * errors['direct'] < 0.2, errors


def test_half_precision_does_not_overflow_on_many_tokens():
    x = 10 * torch.randn(1, 100_000, 8)
    layer = make_layer(8, 2)
    with torch.autocast('cpu', torch.float16):
        y = layer(x)
    assert y.isfinite().all() and second_moment(x.half()).isfinite().all()


def test_channels_of_zeros_have_finite_gradients():
    layer = make_layer(8, 2)
    for part in range(2):  # one channel of q and one of k
        layer.qkv.weight.data[8 * part] = layer.qkv.bias.data[8 * part] = 0
    x = torch.randn(2, 30, 8, requires_grad=True)
    actual = layer(x)
    actual.sum().backward()
    torch.testing.assert_close(actual, layer.direct(x))
    assert x.grad.isfinite().all() and all(parameter.grad.isfinite().all() for parameter in layer.parameters())


def test_attention_dropout_is_the_same_in_both_forms():
    layer = make_layer(16, 4, attn_drop_rate=0.5)
    x = torch.randn(2, 30, 16)
    results = {}
    for form in ('gram', 'direct'):
        layer.form = form
        torch.manual_seed(1)
        results[form] = layer(x)
    torch.testing.assert_close(results['gram'], results['direct'])
    assert not torch.allclose(results['direct'], layer.eval()(x))


@pytest.mark.parametrize('channels, num_heads, few, many', [(384, 8, 512, 1024), (192, 4, 384, 512)])
def test_auto_selects_direct_for_few_tokens_and_gram_for_many(channels, num_heads, few, many):
    layer = make_layer(channels, num_heads, 'auto')  # see the measurements in docs/benchmarks.md
    assert not layer.uses_gram(few) and layer.uses_gram(many)


def test_layer_supports_functional_transforms():
    layer = make_layer(6, 2)
    x = torch.randn(3, 2, 5, 6)
    torch.testing.assert_close(torch.func.vmap(layer)(x), torch.stack([layer(one) for one in x]))
    gradient = torch.func.grad(lambda x: layer(x).square().sum())(x[0])
    one = x[0].clone().requires_grad_()
    torch.testing.assert_close(gradient, torch.autograd.grad(layer(one).square().sum(), one)[0])


def test_large_offsets_cancelled_by_the_bias_give_bounded_errors():
    """q and k are small differences between large terms, so both forms lose digits; the error must stay bounded."""
    layer = make_layer(32, 4, 'direct', torch.float64)
    offset = 100 * torch.randn(32, dtype=torch.float64)
    layer.qkv.bias.data -= layer.qkv.weight.data @ offset
    x = torch.randn(1, 500, 32, dtype=torch.float64) + offset
    expected = layer(x)
    errors = {}
    for form in ('gram', 'direct'):
        layer.float().form = form
        errors[form] = relative_error(layer(x.float()), expected)
    assert errors['direct'] < 1e-3 and errors['gram'] < 5e-2, errors


@pytest.mark.parametrize('dtype, allowed', [(torch.float32, 1.2), (torch.bfloat16, 2.4)])  # bfloat16 also saves output
def test_gram_form_saves_only_its_input_and_small_matrices(dtype, allowed):
    x = torch.randn(1, 4096, 64, dtype=dtype).requires_grad_()
    scale = torch.ones(1, 1, 64, dtype=dtype)
    saved = {form: count_saved_bytes(partial(make_layer(64, 4, form, dtype).add_to, x.detach(), x, scale))
             for form in ('gram', 'direct')}
    assert x.nbytes < saved['gram'] < allowed * x.nbytes and saved['gram'] < 0.4 * saved['direct']


@pytest.mark.parametrize('attention', ['gram', 'direct'])
def test_drop_path_drops_whole_images(attention):
    block = XCiTBlock(8, 2, 1.0, 0.5, dict(type='BN'), attention)
    block.gamma2.data.zero_(), block.gamma3.data.zero_()
    x = torch.randn(64, 6, 8)
    change = (block(x, 2, 3) - x).abs().amax(dim=(1, 2))
    assert 10 < (change == 0).sum() < 54
