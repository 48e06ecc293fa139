import pytest

from xcit_mm.export import exporting


@pytest.fixture
def traced_once(monkeypatch):
    """Trace only once in a test that exports a model to several formats: tracing takes half the time of an export."""
    trace, programs = exporting.trace, []

    def trace_once(*arguments):
        if not programs:
            programs.append(trace(*arguments))
        return programs[0]

    monkeypatch.setattr(exporting, 'trace', trace_once)
