"""Resizing matrices are computed once per size, dtype and device, and adapt to new sizes in a trace."""
import threading

import pytest
import torch

from xcit_mm.ops import interpolation
from xcit_mm.ops.interpolation import resizing_matrix
from xcit_mm.ops.resized_convolution import convolve_resized

SIZES = (5, 13, 0, 13, 0, 5, False)


def test_a_matrix_is_computed_once(monkeypatch):
    computed, compute = [], interpolation._compute_matrix
    monkeypatch.setattr(interpolation, '_compute_matrix', lambda *args: computed.append(args) or compute(*args))
    interpolation._cached_matrix.cache_clear()
    x = torch.zeros(1)
    assert resizing_matrix(*SIZES, x) is resizing_matrix(*SIZES, torch.nn.Parameter(x)) and len(computed) == 1


@pytest.mark.parametrize('change', range(7))
def test_other_sizes_give_other_matrices(change):
    x, other = torch.zeros(1), list(SIZES)
    other[change] = [6, 12, 1, 12, 1, 4, True][change]
    first = resizing_matrix(*SIZES, x)
    assert not torch.equal(first, resizing_matrix(*other, x))


def test_matrices_have_the_dtype_and_device_of_their_map():
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float32):
        assert resizing_matrix(*SIZES, torch.zeros(1, dtype=dtype)).dtype == dtype
    assert resizing_matrix(*SIZES, torch.zeros(1, device='meta')).device.type == 'meta'
    assert resizing_matrix(*SIZES, torch.zeros(1)).device.type == 'cpu'


def test_matrices_made_in_inference_mode_serve_training():
    interpolation._cached_matrix.cache_clear()
    x, weight = torch.randn(1, 3, 2, 2), torch.randn(2, 2, 3, 3, requires_grad=True)
    with torch.inference_mode():
        convolve_resized(x, weight, (5, 4))
    convolve_resized(x, weight, (5, 4)).sum().backward()
    assert weight.grad.abs().sum() > 0


def test_fake_matrices_are_not_kept():
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    interpolation._cached_matrix.cache_clear()
    with FakeTensorMode():
        assert isinstance(resizing_matrix(*SIZES, torch.zeros(1)), FakeTensor)
    assert type(resizing_matrix(*SIZES, torch.zeros(1))) is torch.Tensor


def test_large_matrices_are_not_kept():
    interpolation._cached_matrix.cache_clear()
    resizing_matrix(1000, 2000, 0, 2000, 0, 1000, False, torch.zeros(1))
    assert interpolation._cached_matrix.cache_info().currsize == 0
    for size in range(2 * interpolation.CACHED_MATRICES):
        resizing_matrix(4, size + 1, 0, 1, 0, 4, False, torch.zeros(1))
    assert interpolation._cached_matrix.cache_info().currsize == interpolation.CACHED_MATRICES


def test_threads_share_matrices():
    results = []
    threads = [threading.Thread(target=lambda: results.append(resizing_matrix(*SIZES, torch.zeros(1)).clone()))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8 and all(torch.equal(result, results[0]) for result in results)


def test_a_trace_follows_sizes():
    weight = torch.randn(4, 6, 3, 3)

    def double(x):
        return convolve_resized(x, weight, (2 * x.shape[1], 2 * x.shape[2]))

    traced = torch.jit.trace(double, torch.randn(1, 5, 6, 6))
    for size in ((5, 6), (9, 7), (40, 33)):
        x = torch.randn(2, *size, 6)
        torch.testing.assert_close(traced(x), double(x))
