"""Maps computed in bands of rows equal those that torch computes all at once."""
import gc
import weakref

import pytest
import torch
import torch.nn.functional as F

from xcit_mm.ops.row_operations import Pointwise, Resized
from xcit_mm.ops.rows import Stored


def resize(x, size, **options):
    """Resize a map (h, w, C) in bands of five rows."""
    reader = Resized(Stored(x), size, **options).reader()
    return torch.cat([reader.read(start, min(start + 5, size[0])) for start in range(0, size[0], 5)])


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('size', [(36, 44), (100, 31), (5, 50)])
def test_half_precision_is_resized_as_precisely_as_in_torch(dtype, size):
    torch.manual_seed(0)
    x = torch.randn(9, 11, 8).to(dtype) + 1
    exact, theirs = (F.interpolate(each.permute(2, 0, 1)[None], size, mode='bilinear')[0].permute(1, 2, 0)
                     for each in (x.double(), x))
    ours = resize(x, size)
    assert ours.dtype == dtype
    assert (ours - exact).norm() < 1.05 * (theirs - exact).norm()


def test_autocast_does_not_affect_the_taps():
    x = torch.randn(9, 11, 8)
    expected = resize(x, (36, 44))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(resize(x, (36, 44)), expected)


def test_maps_are_freed_with_their_last_reader():
    gc.disable()
    try:
        source = Stored(torch.zeros(8, 4, 2))
        reader, freed = Pointwise(source, torch.neg).reader(), weakref.ref(source)
        reader.read(0, 5, 3)
        del source
        assert freed()
        del reader
        assert freed() is None
    finally:
        gc.enable()
