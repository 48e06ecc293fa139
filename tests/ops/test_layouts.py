import torch

from xcit_mm.backbone import XCiT
from xcit_mm.ops.layouts import to_batch, to_map, to_rows


def test_views_of_a_single_map_are_channels_last_without_a_copy():
    tokens = torch.randn(20, 1, 3).transpose(0, 1)  # (1, N, C) whose first stride is that of a token
    rows = torch.randn(4, 5, 3)
    for view, source in ((to_map(tokens, 4, 5), tokens), (to_batch(rows), rows)):
        assert view.shape == (1, 3, 4, 5) and view.stride() == (60, 1, 15, 3)
        assert view.data_ptr() == source.data_ptr()
    assert torch.equal(to_map(tokens, 4, 5)[0, 1, 2], tokens[0, 10:15, 1])
    assert torch.equal(to_rows(to_batch(rows)), rows)


def test_a_batch_of_maps():
    tokens = torch.randn(2, 20, 3)
    assert torch.equal(to_map(tokens, 4, 5), tokens.mT.unflatten(2, (4, 5)))


@torch.no_grad()
def test_modules_get_and_return_channels_last_maps_of_one_image():
    backbone, strides = XCiT('nano_12_p16', channels_last=True).eval(), []

    def record(_, inputs, output):
        strides.extend((inputs[0].stride(), output.stride()))

    for module in backbone.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.register_forward_hook(record)
    for level in backbone(torch.randn(1, 3, 64, 96).contiguous(memory_format=torch.channels_last)):
        assert level.is_contiguous(memory_format=torch.channels_last)
    assert len(strides) > 48 and all(stride[1] == 1 and stride[0] >= max(stride[2:]) for stride in strides)
