"""torch.compile, torch.export and tracing support the whole backbone."""
import pytest
import segmentors
import torch
from mmengine.analysis import get_model_complexity_info

from xcit_mm import XCiT

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


@pytest.mark.parametrize('attention', ['gram', 'direct'])
def test_one_compiled_graph_handles_any_size(attention):
    model = XCiT(TINY, attention=attention, pyramid=False).eval()
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True, dynamic=True, backend='eager')
        for size in ((64, 64), (72, 96), (50, 71)):
            image = torch.randn(2, 3, *size)
            for actual, expected in zip(compiled(image), model(image)):
                torch.testing.assert_close(actual, expected)


@pytest.mark.slow
@pytest.mark.parametrize('with_cp', [False, True])
def test_compiled_training_gives_the_same_gradients_and_statistics(with_cp):
    plain, twin = XCiT(TINY, attention='gram'), XCiT(TINY, attention='gram', with_cp=with_cp)
    twin.load_state_dict(plain.state_dict())
    image = torch.randn(2, 3, 64, 64)
    for model in (plain, torch.compile(twin, fullgraph=True, backend='aot_eager')):
        sum(level.square().mean() for level in model(image)).backward()
    scale = max(parameter.grad.norm() for parameter in plain.parameters())
    for expected, actual in zip(plain.parameters(), twin.parameters()):
        assert (actual.grad - expected.grad).norm() < 1e-4 * max(expected.grad.norm(), 0.01 * scale)
    for (name, expected), actual in zip(plain.named_buffers(), twin.buffers()):
        torch.testing.assert_close(actual, expected, msg=name)


@pytest.mark.parametrize('attention', ['gram', 'direct'])
def test_exported_program_handles_any_batch_and_size(attention):
    model = XCiT(TINY, attention=attention).eval()
    batch, height, width = torch.export.Dim('batch'), torch.export.Dim('height'), torch.export.Dim('width')
    shapes = ({0: batch, 2: 16 * height, 3: 16 * width}, )
    program = torch.export.export(model, (torch.randn(2, 3, 64, 96), ), dynamic_shapes=shapes)
    image = torch.randn(3, 3, 96, 80)
    for actual, expected in zip(program.module()(image), model(image)):
        torch.testing.assert_close(actual, expected)


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')  # a trace fixes the pooling window
def test_trace_under_no_grad_gives_the_same_maps():
    model = XCiT(TINY, attention='gram').eval()  # a trace would fix the form that 'auto' selects
    with torch.no_grad():
        traced = torch.jit.trace(model, torch.randn(1, 3, 64, 64), check_trace=False)
        image = torch.randn(1, 3, 64, 64)
        for actual, expected in zip(traced(image), model(image)):
            torch.testing.assert_close(actual, expected)


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
@pytest.mark.parametrize('grad', [True, False])
def test_a_traced_segmentor_serves_every_size(grad):
    model = segmentors.build()
    with torch.set_grad_enabled(grad):
        traced = torch.jit.trace(model, torch.zeros(1, 3, 64, 64), check_trace=False)
        for size in ((64, 64), (128, 96), (264, 80)):
            image = torch.randn(1, 3, *size)
            actual, expected = traced(image), model(image)
            assert (actual - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
@pytest.mark.parametrize('attention', ['gram', 'direct', 'auto'])
def test_a_trace_with_gradients_can_be_saved(attention, tmp_path):
    model, image = XCiT(TINY, attention=attention).eval(), torch.randn(1, 3, 64, 64)
    torch.jit.trace(model, image, check_trace=False).save(str(tmp_path / 'model.pt'))
    for actual, expected in zip(torch.jit.load(str(tmp_path / 'model.pt'))(image), model(image)):
        torch.testing.assert_close(actual, expected)


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
def test_operations_of_the_backbone_are_counted():
    model = XCiT('nano_12_p16', pyramid=False).eval()  # the formula leaves out the pyramid
    counted = {side: get_model_complexity_info(model, (3, side, side), show_table=False, show_arch=False)['flops']
               for side in (224, 448)}
    channels, depth, tokens = 128, 12, 14 * 14
    linear = depth * tokens * (12 * channels**2 + 2 * channels * channels // 4 + 18 * channels)
    widths = (3, 16, 32, 64, 128)
    stem = sum(9 * a * b * (224 >> stage)**2 for stage, (a, b) in enumerate(zip(widths, widths[1:]), start=1))
    assert counted[224] == pytest.approx(linear + stem, rel=0.05)
    assert counted[448] == pytest.approx(4 * counted[224], rel=0.02)
