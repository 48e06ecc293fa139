"""Run the notebook with a short training run, and check that every figure is displayed."""
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / 'demo/digits.ipynb'


@pytest.mark.slow
def test_notebook_runs_and_shows_its_pictures(tmp_path, scenes, monkeypatch):
    for name, value in dict(DIGITS_ROOT=scenes, WORK_DIR=tmp_path / 'run', ITERATIONS=2).items():
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources=dict(metadata=dict(path=NOTEBOOK.parent))).execute()
    pictures = [output for cell in notebook.cells for output in cell.get('outputs', ())
                if 'image/png' in output.get('data', {})]
    assert len(pictures) == 5  # a scene, the learning curve, an overlay, features, attention
