"""Writing and running a traced function in each file format."""
from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

Runtime = Callable[[Tensor], Sequence[Tensor]]
OPSET = 18  # what torch's exporter writes without a conversion; onnxruntime 1.18 reads its files
SMALLEST_SIDE = 64  # pixels: below, the coarsest map may be one pixel wide, for which torch makes another graph
TRACED = (2, 3, 112, 144)  # a batch of one, or two equal sides, would be taken for constants
DYNAMIC_SHAPES = ({0: Dim('batch', min=1), 2: Dim('height', min=SMALLEST_SIDE), 3: Dim('width', min=SMALLEST_SIDE)}, )


@torch.no_grad()
def trace(function: torch.nn.Module) -> ExportedProgram:
    """The graph of a prepared function, for any batch, height and width."""
    # Layouts lead to conditions on sizes that hold for all of them, but that torch cannot prove.
    return torch.export.export(function, (torch.zeros(TRACED), ), dynamic_shapes=DYNAMIC_SHAPES,
                               prefer_deferred_runtime_asserts_over_guards=True)


def write_onnx(program: ExportedProgram, path: Path, output_names: list[str], facts: Mapping[str, str]) -> None:
    """Write an ONNX model, with facts as its ``metadata_props``."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)  # of torch about torch
        model = torch.onnx.export(program, dynamo=True, opset_version=OPSET, input_names=['image'],
                                  output_names=output_names, dynamic_shapes=DYNAMIC_SHAPES, verbose=False)
    assert model is not None  # see dynamo
    model.model.metadata_props.update(facts)
    model.save(path, external_data=False)


def run_onnx(path: Path) -> Runtime:
    """The function in an ONNX file, by onnxruntime, on as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return lambda image: list(map(torch.from_numpy, session.run(None, {'image': image.numpy()})))


def write_program(program: ExportedProgram, path: Path, output_names: list[str], facts: Mapping[str, str]) -> None:
    """Write a program of ``torch.export``, with facts in its extra file ``metadata.json``."""
    facts = {**facts, 'outputs': json.dumps(output_names)}
    content = io.BytesIO()  # torch says of a full disk no more than that its writer failed
    torch.export.save(program, content, extra_files={'metadata.json': json.dumps(facts)})
    path.write_bytes(content.getbuffer())


def run_program(path: Path) -> Runtime:
    """The function in a file of ``torch.export``."""
    with path.open('rb') as stream:
        return torch.no_grad()(torch.export.load(stream).module())
