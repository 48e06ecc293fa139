"""A small backbone's statistics, and scenes in which they differ."""
import torch

ARCH = dict(embed_dim=32, depth=3, num_heads=4, patch_size=8)
STATISTICS = {
    'image': dict(type='image'),
    'mixture': dict(type='mixture'),
    'mixture with a leak': dict(type='mixture', kinds=3, leak=0.2, cell=64),
    'local': dict(type='local', size=(48, 80)),
}


def scene(height=120, width=152, batch=1):
    """Return images whose left, middle and right parts differ in kind: (batch, 3, height, width) float64."""
    torch.manual_seed(1)
    images = torch.randn(batch, 3, height, width, dtype=torch.double)
    images[..., width // 3:] *= 0.2
    images[..., 2 * width // 3:] += 3
    return images


def outputs(backbone, images, statistics):
    with torch.no_grad():
        return torch.cat([level.flatten() for level in backbone(images, statistics)])


def difference(x, y):
    return ((x - y).abs().max() / y.abs().max()).item()
