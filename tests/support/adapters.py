"""Add adapters to attention, as if trained, with the libraries that users would choose."""
import loralib
import peft
from torch import nn


def add_loralib(attention, name, kind=loralib.Linear, **options):
    """Replace a linear layer with loralib's, whose low-rank branch gets random weights, as if trained."""
    linear = getattr(attention, name)
    adapted = kind(linear.in_features, linear.out_features, r=2, **options)
    adapted.load_state_dict(linear.state_dict(), strict=False)
    nn.init.normal_(adapted.lora_B)
    setattr(attention, name, adapted)


def add_peft(model, kind=peft.LoraConfig, **options):
    """Adapt qkv and proj of every block with peft."""
    peft.inject_adapter_in_model(kind(target_modules=r'.*attn\.(qkv|proj)', **options), model.backbone)
