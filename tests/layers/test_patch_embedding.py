"""In inference, GELUs overwrite the maps before them, unless something else may hold these maps."""
import pytest
import torch
from torch import nn

from xcit_mm import XCiT

TINY = dict(embed_dim=16, depth=1, num_heads=2, patch_size=8)


@pytest.mark.parametrize('name', ['patch_embed.proj.0', 'patch_embed.proj.2.0', 'blocks.0.mlp.fc1'])
def test_hooks_keep_what_a_layer_returned(name):
    model, image, kept = XCiT(TINY, pyramid=False).eval(), torch.randn(1, 3, 64, 64), []
    layer = model.get_submodule(name)
    layer.register_forward_hook(lambda module, arguments, output: kept.append((*arguments, output)))
    with torch.no_grad():
        hooked = model(image)[0]
        (x, output), = kept
        layer._forward_hooks.clear()
        torch.testing.assert_close(output, layer(x))
        torch.testing.assert_close(model(image)[0], hooked)


def test_layers_that_return_their_input_do_not_lose_it():
    model = XCiT(TINY, pyramid=False).eval()
    image = torch.randn(1, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    model.patch_embed.proj[0] = nn.Identity()  # the first stage's output would be the image
    model.patch_embed.proj[2][0] = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
    before = image.clone()
    with torch.no_grad():
        model(image)
    assert torch.equal(image, before)
