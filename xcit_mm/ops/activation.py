"""GELU in place."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gelu_(x: Tensor, approximate: str) -> Tensor:
    """Apply ``F.gelu`` to x, of any shape, in place if possible, and return the result; autograd cannot record it.

    A large new map comes in fresh pages from the system, which take longer to get than the GELU takes to compute.
    """
    if torch._C._functorch.maybe_current_level() is not None:  # transforms of torch.func do not support ``out``
        return F.gelu(x, approximate=approximate)
    return F.gelu(x, approximate=approximate, out=x)  # type: ignore[call-arg]  # torch's stubs lack out
