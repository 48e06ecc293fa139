import pytest
import torch
import torch.nn.functional as F

from xcit_mm.ops.interpolation import resizing_matrix, source_range
from xcit_mm.ops.resized_convolution import ColumnConvolution, apply_row_taps, convolve_resized, row_taps

SIZES = [((5, 7), (11, 16)), ((3, 2), (24, 17)), ((6, 6), (12, 12)), ((1, 1), (5, 4)), ((40, 33), (70, 81)),
         ((4, 4), (4, 4)), ((9, 8), (5, 3))]


def reference(x, weight, size, align_corners):
    resized = F.interpolate(x.permute(0, 3, 1, 2), size, mode='bilinear', align_corners=align_corners)
    return F.conv2d(resized, weight, padding=1).permute(0, 2, 3, 1)


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('in_size, out_size', SIZES)
def test_result_equals_resizing_then_convolving(in_size, out_size, align_corners):
    x, weight = torch.randn(2, *in_size, 6).double(), torch.randn(4, 6, 3, 3).double()
    expected = reference(x, weight, out_size, align_corners)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            torch.testing.assert_close(convolve_resized(x, weight, out_size, align_corners), expected)


def test_one_compiled_graph_handles_any_size():
    compiled = torch.compile(convolve_resized, fullgraph=True, dynamic=True, backend='eager')
    weight = torch.randn(4, 6, 3, 3).double()
    for align_corners in (False, True):
        for in_size, out_size in SIZES[:3]:
            x = torch.randn(2, *in_size, 6).double()
            torch.testing.assert_close(compiled(x, weight, out_size, align_corners),
                                       reference(x, weight, out_size, align_corners))


def test_rows_of_the_result_need_only_their_source_range():
    x, weight = torch.randn(1, 40, 9, 6).double(), torch.randn(4, 6, 3, 3).double()
    expected = reference(x, weight, (83, 20), False)
    columns = ColumnConvolution(weight, 9, 20, False, x)(x)
    for start, stop in [(0, 1), (0, 40), (17, 60), (82, 83)]:
        first, last = source_range(40, 83, start - 1, stop + 1, False)
        taps = row_taps(40, 83, start, stop, first, last, False, x)
        torch.testing.assert_close(apply_row_taps(taps, columns[:, first:last]), expected[:, start:stop])


def test_gradients_match_finite_differences():
    x = torch.randn(1, 3, 2, 2, dtype=torch.double, requires_grad=True)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, weight: convolve_resized(x, weight, (5, 4)), (x, weight))


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('in_size, out_size', [(5, 13), (13, 5), (4, 8), (1, 3), (7, 7)])
def test_matrix_equals_torch_interpolation(in_size, out_size, align_corners):
    identity = torch.eye(in_size, dtype=torch.double)[None]
    expected = F.interpolate(identity[None], (in_size, out_size), mode='bilinear', align_corners=align_corners)[0, 0].T
    for start, stop in [(0, out_size), (out_size // 2, out_size), (-1, 1)]:
        first, last = source_range(in_size, out_size, start, stop, align_corners)
        matrix = resizing_matrix(in_size, out_size, start, stop, first, last, align_corners, identity)
        padded = F.pad(expected, (0, 0, 1, 1))[start + 1:stop + 1]
        torch.testing.assert_close(matrix, padded[:, first:last])
        assert not padded[:, :first].any() and not padded[:, last:].any()
