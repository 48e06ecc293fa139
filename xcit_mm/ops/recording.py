"""Detection of autograd, compilers and tracers."""
from __future__ import annotations

import torch


def is_recorded() -> bool:
    """Return whether autograd, a compiler or a tracer records the operations.

    If none does, operations may overwrite their inputs and run in chunks. Otherwise autograd needs the tensors that
    it saved, and a compiler or tracer would unroll the chunks of one particular image size.
    """
    return torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing()
