"""Write and run ``torch.export`` files."""
from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.export import ExportedProgram

from .file_format import FileFormat, Runtime


def write(program: ExportedProgram, path: Path, output_names: list[str], facts: Mapping[str, str]) -> None:
    """Write a ``torch.export`` program, and store ``facts`` in its extra file ``metadata.json``."""
    facts = {**facts, 'outputs': json.dumps(output_names)}
    content = io.BytesIO()  # torch's own writer hides the reason when the disk is full
    torch.export.save(program, content, extra_files={'metadata.json': json.dumps(facts)})
    path.write_bytes(content.getbuffer())


def load(path: Path) -> Runtime:
    """Load the function from a ``torch.export`` file."""
    with path.open('rb') as stream:
        return torch.no_grad()(torch.export.load(stream).module())


TORCH_PROGRAM = FileFormat(write, load)
