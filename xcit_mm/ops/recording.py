"""Whether something records the operations of a module."""
from __future__ import annotations

import torch


def is_recorded() -> bool:
    """Return whether autograd, a compiler or a tracer records the operations.

    If nothing does, they may overwrite their inputs and work in pieces. Otherwise autograd needs what it saved,
    and a compiler or a tracer would write out every piece of one particular image.
    """
    return torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing()


def is_symbolic() -> bool:
    """Return whether a compiler or a tracer follows sizes, which numpy and loops over pieces would make constants."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
