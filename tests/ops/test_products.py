import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from xcit_mm.errors import InputError
from xcit_mm.ops import products

WEIGHT = (160, 96)  # (out, in)
TOKENS = products.LEAST_MULTIPLY_ADDS // (WEIGHT[0] * WEIGHT[1]) + 1


@pytest.fixture(params=products.LIBRARIES)
def library(request, monkeypatch):
    monkeypatch.setenv(products.VARIABLE, request.param)
    products.library.cache_clear()
    yield request.param
    products.library.cache_clear()


class Operations(TorchDispatchMode):
    """Record the names of the operations that run."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))

    @property
    def has_convolution(self):
        return any('convolution' in name for name in self.names)


def check(actual, expected):
    assert actual.shape == expected.shape and actual.is_contiguous()
    assert (actual - expected).abs().max() < 3e-6 * expected.abs().max()


@pytest.mark.parametrize('shape', [(TOKENS, ), (1, TOKENS), (2, TOKENS), (2, 3, TOKENS), (5, )], ids=str)
@pytest.mark.parametrize('has_bias', [True, False])
def test_linear(library, shape, has_bias):
    x, weight, bias = torch.randn(*shape, WEIGHT[1]), torch.randn(*WEIGHT), torch.randn(WEIGHT[0]) * has_bias
    with Operations() as operations:
        actual = products.linear(x, weight, bias if has_bias else None)
    check(actual, F.linear(x.double(), weight.double(), bias.double()))
    assert operations.has_convolution == (library == 'onednn' and shape != (5, ))


def test_small_products_of_a_large_batch_stay_with_mkl(library):
    x, weight = torch.randn(40, TOKENS // 20, WEIGHT[1]), torch.randn(40, *WEIGHT).mT
    with Operations() as operations:
        products.affine(x, weight, torch.zeros(40, 1, 1))
        products.gram(x)
    assert not operations.has_convolution


def test_linear_with_tokens_and_weight_in_any_layout(library):
    x, weight = torch.randn(2, WEIGHT[1], TOKENS).mT, torch.randn(*WEIGHT[::-1]).T
    check(products.linear(x, weight), F.linear(x.double(), weight.double()))


@pytest.mark.parametrize('batch', [1, 3])
def test_affine_maps_of_each_image(library, batch):
    x, weight = torch.randn(batch, TOKENS, WEIGHT[1]), torch.randn(batch, *WEIGHT).mT
    bias, residual = torch.randn(batch, 1, WEIGHT[0]), torch.randn(batch, TOKENS, WEIGHT[0])
    expected = x.double() @ weight.double() + bias
    check(products.affine(x, weight, bias), expected)
    check(products.add_affine(residual, x, weight, bias), expected + residual)
    expected += residual
    products.add_affine_(residual, x, weight, bias)
    check(residual, expected)


@pytest.mark.parametrize('channels', [1, 2, 191, 192])
@pytest.mark.parametrize('batch', [1, 3])
def test_gram(library, channels, batch):
    x = torch.randn(batch, 40 * channels, channels)
    with Operations() as operations:
        actual = products.gram(x)
    check(actual, x.double().mT @ x.double())
    assert operations.has_convolution == (library == 'onednn' and channels > 2)


def test_derivatives(library):
    shapes = (2, TOKENS, WEIGHT[1]), WEIGHT, WEIGHT[:1]
    x, weight, bias = (torch.randn(*shape, requires_grad=True) for shape in shapes)
    direction = torch.randn(2, TOKENS, WEIGHT[0])

    def derivatives(function):
        gradients = torch.autograd.grad((function(x, weight, bias).sin() * direction).sum(), (x, weight, bias),
                                        create_graph=True)
        second = torch.autograd.grad(sum(gradient.square().sum() for gradient in gradients), (x, weight, bias))
        return *gradients, *second

    for actual, expected in zip(derivatives(products.linear), derivatives(F.linear), strict=True):
        assert (actual - expected).norm() < 1e-5 * expected.norm()


def test_a_plain_layer_takes_the_chosen_library_and_any_other_is_called(library):
    x, layer = torch.randn(TOKENS, WEIGHT[1]), nn.Linear(*WEIGHT[::-1])
    with Operations() as operations:
        check(products.as_function(layer)(x), layer(x))
    assert operations.has_convolution == (library == 'onednn')
    layer.register_forward_hook(lambda *_: torch.zeros(1))
    assert products.as_function(layer)(x) == torch.zeros(1)
    compiled = nn.Linear(*WEIGHT[::-1])
    compiled.compile(backend='eager')
    assert products.as_function(compiled) is compiled


@pytest.mark.parametrize('change', [torch.Tensor.double, torch.Tensor.bfloat16], ids=['double', 'bfloat16'])
def test_other_dtypes(library, change):
    x, weight = change(torch.randn(TOKENS, WEIGHT[1])), change(torch.randn(*WEIGHT))
    assert torch.equal(products.linear(x, weight), F.linear(x, weight))


def test_autocast_compilers_and_transforms_get_a_matrix_product(library):
    x, weight = torch.randn(2, TOKENS, WEIGHT[1]), torch.randn(2, *WEIGHT)
    with torch.autocast('cpu', torch.bfloat16):
        assert products.linear(x, weight[0]).dtype == torch.bfloat16
    with Operations() as operations:
        torch.vmap(products.linear)(x, weight)
    assert not operations.has_convolution
    program = torch.export.export(Linear(), (x, weight[0]))
    assert not any('conv' in str(node.target) for node in program.graph.nodes)


class Linear(nn.Module):
    def forward(self, x, weight):
        return products.linear(x, weight)


def test_the_choice_for_this_cpu_can_be_read_and_overridden(monkeypatch):
    monkeypatch.delenv(products.VARIABLE, raising=False)
    for capability, is_amd, expected in [('AVX512', True, 'onednn'), ('AVX512', False, 'mkl'), ('AVX2', True, 'mkl')]:
        monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda capability=capability: capability)
        monkeypatch.setattr(products, 'is_amd', lambda is_amd=is_amd: is_amd)
        products.library.cache_clear()
        assert products.library() == expected
    monkeypatch.setenv(products.VARIABLE, 'openblas')
    products.library.cache_clear()
    with pytest.raises(InputError, match="XCIT_MM_PRODUCTS must be one of mkl, onednn, but got 'openblas'; unset it"):
        products.library()
    monkeypatch.undo()
    products.library.cache_clear()
