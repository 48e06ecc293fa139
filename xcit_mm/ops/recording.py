"""When operations may reuse memory."""
from __future__ import annotations

import torch


def is_plain_inference() -> bool:
    """Whether nothing records the operations, so that they may work in place and in pieces.

    Autograd needs what it saved, and a compiler or a tracer would write out each piece of this one image.
    """
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing())
