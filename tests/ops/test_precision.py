"""Precision is full in the context; afterwards, the user's settings apply again, whichever torch interface set them."""
import threading

import pytest
import torch

from xcit_mm.layers import CrossCovarianceAttention
from xcit_mm.ops import precision
from xcit_mm.ops.precision import MatmulSettings, full_precision, widest_dtype
from xcit_mm.ops.second_moment import second_moment
from xcit_mm.statistics import build_statistics

CPU = torch.device('cpu')
CUDA, MKLDNN = torch.backends.cuda.matmul, getattr(torch.backends.mkldnn, 'matmul', None)
needs_new_settings = pytest.mark.skipif(MKLDNN is None, reason='torch 2.9 introduced these settings')
SETTINGS = {
    'default': lambda: None,
    'high': lambda: torch.set_float32_matmul_precision('high'),
    'medium': lambda: torch.set_float32_matmul_precision('medium'),
    'allow_tf32': lambda: setattr(CUDA, 'allow_tf32', True),
    **({} if MKLDNN is None else {
        'cuda tf32': lambda: setattr(CUDA, 'fp32_precision', 'tf32'),
        'mkldnn bf16': lambda: setattr(MKLDNN, 'fp32_precision', 'bf16'),
        'cuda ieee, mkldnn bf16': lambda: (setattr(CUDA, 'fp32_precision', 'ieee'),
                                           setattr(MKLDNN, 'fp32_precision', 'bf16')),
        'every backend tf32': lambda: setattr(torch.backends, 'fp32_precision', 'tf32'),
        'old and new': lambda: (torch.set_float32_matmul_precision('high'), setattr(CUDA, 'fp32_precision', 'ieee')),
    })}


@pytest.fixture(autouse=True)
def default_settings():
    def reset():
        torch.set_float32_matmul_precision('highest')
        for matmul in precision._SETTINGS.backends:
            matmul.fp32_precision = 'none'
        if MKLDNN is not None:
            torch.backends.fp32_precision = 'none'

    reset()
    yield
    reset()


def settings():
    """Return every setting; reading the old one fails while the new ones contradict it."""
    new = [matmul.fp32_precision for matmul in precision._SETTINGS.backends]
    try:
        return torch.get_float32_matmul_precision(), new
    except RuntimeError:
        return 'contradictory', new


def is_full():
    overall, new = settings()
    return overall == 'highest' and not {'tf32', 'bf16'}.intersection(new)


@pytest.mark.parametrize('allow', SETTINGS.values(), ids=SETTINGS)
def test_settings_are_full_inside_and_restored_afterwards(allow):
    allow()
    before = settings()
    with full_precision(CPU):
        assert is_full()
        with full_precision(CPU):
            assert is_full()
        assert is_full()
    assert settings() == before
    with pytest.raises(ZeroDivisionError), full_precision(CPU):
        raise ZeroDivisionError
    assert settings() == before


@needs_new_settings
def test_settings_still_follow_their_parent_afterwards():
    torch.backends.fp32_precision = 'tf32'
    with full_precision(CPU):
        pass
    torch.backends.fp32_precision = 'none'
    assert MKLDNN.fp32_precision == CUDA.fp32_precision == 'none'


@pytest.mark.parametrize('overall', ['highest', 'high', 'medium'])
def test_torch_without_settings_for_each_backend(overall):
    torch.set_float32_matmul_precision(overall)
    old = MatmulSettings(())
    old.override()
    assert torch.get_float32_matmul_precision() == 'highest'
    old.restore()
    assert torch.get_float32_matmul_precision() == overall


def test_the_last_of_several_threads_restores_the_settings():
    torch.set_float32_matmul_precision('high')
    entered, left = threading.Event(), threading.Event()

    def overlap():
        with full_precision(CPU):
            entered.set()
            left.wait(10)

    thread = threading.Thread(target=overlap)
    with full_precision(CPU):
        thread.start()
        entered.wait(10)
    assert torch.get_float32_matmul_precision() == 'highest'
    left.set()
    thread.join()
    assert torch.get_float32_matmul_precision() == 'high'


def test_autocast_is_off():
    x = torch.randn(3, 4)
    with torch.autocast('cpu', torch.bfloat16):
        with full_precision(CPU):
            assert (x.mT @ x).dtype == torch.float32
        assert (x.mT @ x).dtype == torch.bfloat16


@needs_new_settings
@pytest.mark.parametrize('part', ['second moment', 'its gradient', 'affine map', 'pools'])
def test_gram_form_does_not_depend_on_the_settings(part):
    torch.manual_seed(0)
    x = torch.randn(2, 24, 32, 64) + 3
    attention = CrossCovarianceAttention(64, 4, 'gram')

    def compute():
        tokens = x.flatten(1, 2).clone().requires_grad_()
        moment = second_moment(tokens)
        if part == 'its gradient':
            return torch.autograd.grad(moment.square().sum(), tokens)[0]
        if part == 'pools':
            pools = build_statistics('image').pools(3, 24, 32)
            pools.collect(x)
            return pools.reduce()
        return moment if part == 'second moment' else torch.cat(attention.affine_map(moment.detach()), dim=1)

    expected = compute()
    MKLDNN.fp32_precision = 'bf16'
    assert torch.equal(compute(), expected)


def test_only_mps_lacks_float64():
    assert widest_dtype(torch.device('mps')) == torch.float32
    assert widest_dtype(CPU) == widest_dtype(torch.device('cuda')) == torch.float64
