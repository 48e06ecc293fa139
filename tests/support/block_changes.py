"""Changes to the blocks of a backbone: other layers, hooks and frozen parameters."""
from torch import nn


class Doubled(nn.Linear):
    """A modified layer, like an adapter's."""

    def forward(self, x):
        return super().forward(x) + super().forward(2 * x)


def modify_layers(model):
    for block in model.blocks:
        block.mlp.fc2 = Doubled(64, 16)
        block.local_mp.act = nn.ReLU(inplace=True)


def add_hooks(model):
    def double(module, inputs, output):
        return 2 * output

    for part in ('norm1', 'mlp', 'local_mp', 'local_mp.bn', 'local_mp.conv2', 'attn'):
        model.blocks[0].get_submodule(part).register_forward_hook(double)


def freeze_norms(model):
    for block in model.blocks:
        for norm in (block.norm1, block.norm2, block.norm3, block.local_mp.bn):
            norm.requires_grad_(False)


def freeze_products(model):
    for block in model.blocks:
        for layer in (block.mlp.fc1, block.mlp.fc2, block.local_mp.conv1, block.local_mp.conv2, block.attn.qkv):
            layer.requires_grad_(False)


CHANGES = dict(layers=modify_layers, hooks=add_hooks, norms=freeze_norms, products=freeze_products)
