"""Pictures of features and channel attention show what the network actually computes."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from xcit_mm.apis import init_model
from xcit_mm.errors import InputError
from xcit_mm.inference.feature_maps import draw_attention, draw_features, inspect, principal_colors
from xcit_mm.inference.pipeline import prepare_image

CONFIG = 'configs/xcit_upernet_digits.py'


def test_features_and_attention_are_those_of_the_network():
    torch.manual_seed(0)
    model = init_model(CONFIG)
    image = np.random.default_rng(0).integers(0, 256, (70, 100, 3), dtype=np.uint8)
    data = prepare_image(model.cfg, image)
    levels, attention = inspect(model, data)
    seen = []
    block = model.backbone.blocks[3]
    block.norm1.register_forward_hook(lambda norm, inputs, tokens: seen.append(tokens))
    with torch.no_grad():
        inputs = model.data_preprocessor(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))['inputs']
        expected = model.backbone(inputs)
        query, key, _ = block.attn.qkv(seen[0]).view(-1, 3, block.attn.num_heads, 24).permute(1, 2, 3, 0)
        cosines = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).mT
        maps = (cosines * block.attn.temperature).softmax(dim=-1)
    for level, other in zip(levels, expected):
        assert torch.equal(level, other[0, :, :level.shape[1], :level.shape[2]])
    assert len(attention) == len(model.backbone.blocks) and len(seen) == 1
    torch.testing.assert_close(attention[3], maps)


def test_padding_is_cropped():
    model = init_model(CONFIG)
    data = prepare_image(model.cfg, np.zeros((70, 100, 3), np.uint8))
    height, width = data['data_samples'].img_shape
    data['inputs'] = F.pad(data['inputs'], (0, 40, 0, 30))
    levels, _ = inspect(model, data)
    assert levels[0].shape[1:] == (-(-height // 4), -(-width // 4))


def test_error_names_a_backbone_that_is_not_an_xcit():
    model = init_model(CONFIG)
    model.backbone = torch.nn.Identity()
    with pytest.raises(InputError, match='the backbone must be an XCiT, but got a Identity'):
        inspect(model, {})


def test_leading_component_is_red():
    rng = np.random.default_rng(0)
    strong, weak = rng.permutation(400).reshape(2, 20, 10)[:, :, :] / 400
    features = torch.zeros(5, 20, 10)
    features[3], features[1] = torch.from_numpy(10 * strong), torch.from_numpy(-weak)
    colors = principal_colors(features)
    assert colors.shape == (20, 10, 3) and colors.dtype == np.uint8
    inside = (colors[..., 0] > 0) & (colors[..., 0] < 255)
    assert np.corrcoef(colors[..., 0][inside], strong[inside])[0, 1] > 0.999
    assert abs(np.corrcoef(colors[..., 1].ravel(), weak.ravel())[0, 1]) > 0.99


def test_map_without_contrast_is_drawn():
    assert principal_colors(torch.ones(4, 3, 3)).max() == 0


def test_drawings_have_a_panel_per_level_and_a_map_per_head():
    picture = draw_features(np.zeros((40, 60, 3), np.uint8), [torch.rand(8, 10, 15), torch.rand(8, 5, 8)], [4, 8])
    assert picture.size == (3 * 64 - 4, 60)
    assert draw_features(np.zeros((40, 2048, 3), np.uint8), [], []).size == (1024, 40)
    maps = torch.eye(16).expand(2, 16, 16)
    drawn = np.asarray(draw_attention([maps, maps, maps]))
    assert drawn.shape == (3 * 52 + 20, 2 * 52 + 20, 3)
    assert (drawn[20, 20] == drawn[20 + 47, 20 + 47]).all() and (drawn[20, 20] != drawn[20, 20 + 47]).any()


def test_tool_draws_features_and_attention(run_here, tmp_path, scenes):
    torch.manual_seed(0)
    torch.save(init_model(CONFIG).state_dict(), tmp_path / 'weights.pth')
    image = scenes / 'images/val/00000.png'
    assert run_here('visualize', CONFIG, tmp_path / 'weights.pth', image, '--out', tmp_path / 'out') is None
    width, height = Image.open(image).size
    assert Image.open(tmp_path / 'out/00000_features.png').size == (5 * (width + 4) - 4, height + 20)
    assert Image.open(tmp_path / 'out/00000_attention.png').width > 100
