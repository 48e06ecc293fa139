"""Benchmarks run modules on other runtimes, whose memory and operations torch does not see."""
import ctypes

import torch
from benchmarks import measurement, runtimes
from benchmarks.table import to_markdown


class SignalStack(ctypes.Structure):
    """C's ``stack_t``."""
    _fields_ = [('address', ctypes.c_void_p), ('flags', ctypes.c_int), ('size', ctypes.c_size_t)]


def signal_stack():
    stack = SignalStack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack)) == 0
    return stack.address, stack.size


def test_openvino_leaves_the_signal_stack_of_the_caller_alone():
    module, x, before = torch.nn.ReLU(), torch.randn(1, 3, 8, 8), signal_stack()
    run = runtimes.runtime_runs({'relu': module}, x, torch.bfloat16)['relu, OpenVINO']
    assert run()[0].min() == 0 and signal_stack() == before


def test_other_runtimes_run_the_module_and_their_costs_are_left_blank():
    module, x = torch.nn.Conv2d(3, 4, 3).eval(), torch.randn(1, 3, 8, 8)
    runs = runtimes.runtime_runs({'conv': module}, x, torch.float32)
    assert list(runs) == ['conv, ONNX Runtime', 'conv, OpenVINO']
    for run in runs.values():
        torch.testing.assert_close(run()[0], module(x).detach())
    bfloat16, = runtimes.runtime_runs({'conv': module}, x, torch.bfloat16).values()
    torch.testing.assert_close(bfloat16()[0], module(x).detach(), rtol=0.05, atol=0.05)
    rows = [dict(size=8) | row for row in measurement.compare(runs, 1, torch.device('cpu'))]
    assert '|  |  |  |  |' in to_markdown(rows) and all(row['median_s'] > 0 for row in rows)
