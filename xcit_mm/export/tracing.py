"""Trace a function for any batch size, height and width."""
from __future__ import annotations

import torch
from torch.export import Dim, ExportedProgram

SMALLEST_SIDE = 64  # pixels; below it, the coarsest map can be one pixel wide, and torch builds a different graph
BATCH, SIDES = 2, (112, 144)  # torch would treat a batch of one, or two equal sides, as constants
DYNAMIC_SHAPES = ({0: Dim('batch', min=1), 2: Dim('height', min=SMALLEST_SIDE), 3: Dim('width', min=SMALLEST_SIDE)}, )


@torch.no_grad()
def trace(function: torch.nn.Module, in_channels: int) -> ExportedProgram:
    """Trace a prepared function (see ``prepare``) with a symbolic batch size, height and width."""
    image = torch.zeros(BATCH, in_channels, *SIDES)
    # Memory layouts impose conditions on the sizes that always hold but that torch cannot prove.
    return torch.export.export(function, (image, ), dynamic_shapes=DYNAMIC_SHAPES,
                               prefer_deferred_runtime_asserts_over_guards=True)
