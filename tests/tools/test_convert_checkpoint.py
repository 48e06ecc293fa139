"""``tools/convert_checkpoint.py`` converts to the authors' format; bad files neither run code nor leave output."""
import re

import pytest
import torch
from malice import Malicious
from reference_keys import weights_of

from xcit_mm import XCiT, checkpoints

TINY = dict(embed_dim=16, depth=2, num_heads=2, patch_size=8)


def test_a_classifier_becomes_a_dense_backbone(run_here, tmp_path, capsys):
    source = weights_of('mmpretrain_1.3.6_classifier', 'nano_12_p8')
    torch.save(dict(state_dict=source, meta=dict()), tmp_path / 'in.pth')
    assert run_here('convert_checkpoint', tmp_path / 'in.pth', tmp_path / 'out.pth') is None
    assert 'mmpretrain classifier of nano_12_p8' in capsys.readouterr().out
    model = XCiT('nano_12_p8')
    assert checkpoints.load(model, tmp_path / 'out.pth').format == "the authors' backbone"
    assert torch.equal(model.blocks[3].mlp.fc2.bias, source['xca_layers.3.ffn.layers.1.bias'])


def test_code_runs_only_in_a_trusted_file(run_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict=XCiT(TINY).state_dict(), hook=Malicious()), 'in.pth')
    assert 'could run code' in run_here('convert_checkpoint', 'in.pth', 'out.pth')
    assert not (tmp_path / 'executed').exists() and not (tmp_path / 'out.pth').exists()
    assert run_here('convert_checkpoint', 'in.pth', 'out.pth', '--trust') is None
    assert (tmp_path / 'executed').exists()
    checkpoints.load(XCiT(TINY), 'out.pth')


def write_truncated(path):
    torch.save(XCiT(TINY).state_dict(), path)
    path.write_bytes(path.read_bytes()[:5000])


def write_truncated_legacy(path):
    torch.save(XCiT(TINY).state_dict(), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-3001])


@pytest.mark.parametrize('write, words', [
    (lambda path: torch.save(Malicious(), path), 'refused to load .*could run code'),
    (write_truncated, 'cannot read the checkpoint .*not a PyTorch checkpoint, or corrupt'),
    (lambda path: path.write_text('not a checkpoint'),
     'cannot read the checkpoint .*not a PyTorch checkpoint, or corrupt$'),
    (lambda path: torch.save({}, path), 'no weights in'),
    (lambda path: torch.save({'conv1.weight': torch.ones(1)}, path),
     'bad.pth: this checkpoint does not contain XCiT weights.*conv1'),
    (lambda path: torch.save(dict(epoch=1), path), "bad.pth: not a state dict: .*'epoch' maps to int"),
    (write_truncated_legacy, 'cannot read the checkpoint .*not a PyTorch checkpoint, or corrupt'),
    (lambda path: None, 'no checkpoint file'),
])
def test_a_file_without_xcit_weights_gives_one_line(run_here, tmp_path, monkeypatch, write, words):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'bad.pth')
    message = run_here('convert_checkpoint', 'bad.pth', 'out.pth')
    assert message.startswith('error: ') and '\n' not in message
    assert re.search(words, message), message
    assert not (tmp_path / 'executed').exists() and not (tmp_path / 'out.pth').exists()


def test_a_file_that_cannot_be_written_gives_one_line(run_here, tmp_path):
    torch.save(XCiT(TINY).state_dict(), tmp_path / 'in.pth')
    (tmp_path / 'file').write_text('not a folder')
    assert 'cannot write' in run_here('convert_checkpoint', tmp_path / 'in.pth', tmp_path / 'file/out.pth')


def test_an_existing_file_is_not_overwritten(run_here, tmp_path):
    torch.save(XCiT(TINY).state_dict(), tmp_path / 'in.pth')
    (tmp_path / 'out.pth').write_text('precious')
    assert 'already exists' in run_here('convert_checkpoint', tmp_path / 'in.pth', tmp_path / 'out.pth')
    assert (tmp_path / 'out.pth').read_text() == 'precious'
