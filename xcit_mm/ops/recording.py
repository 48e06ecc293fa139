"""Detect autograd, compilers and tracers."""
from __future__ import annotations

import torch


def is_recorded() -> bool:
    """Return whether autograd, a compiler or a tracer is recording operations.

    If nothing is being recorded, operations may overwrite their inputs and run in chunks. Otherwise, autograd needs the
    tensors that it saved, and a compiler or tracer would unroll the chunks for one particular image size.
    """
    return torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing()


def is_symbolic() -> bool:
    """Return whether sizes may be symbolic, as in a compiler or tracer; numpy and loops would make them constant."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
