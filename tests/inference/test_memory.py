import psutil
import pytest
import torch

from xcit_mm.errors import InputError
from xcit_mm.inference import memory

CPU = torch.device('cpu')


@pytest.mark.parametrize('text, number', [
    ('2GB', 2e9), ('1.5 g', 1.5e9), ('800MB', 8e8), ('4096B', 4096), ('1t', 1e12)])
def test_sizes_have_units(text, number):
    assert memory.parse_bytes(text) == number


@pytest.mark.parametrize('text', ['', '2', 'GB', '2 elephants', '1.2.3GB', '-1GB'])
def test_error_names_an_invalid_size(text):
    with pytest.raises(InputError, match='invalid memory size .*: write it like 2GB'):
        memory.parse_bytes(text)


def test_limit_includes_memory_that_the_process_already_holds():
    held = psutil.Process().memory_info().rss
    assert memory.available_bytes(CPU, 10**6) < 0
    assert memory.available_bytes(CPU, held + 10**7) == pytest.approx(10**7, abs=5e6)
    assert memory.available_bytes(CPU, 10**15) == pytest.approx(memory.available_bytes(CPU), rel=0.1)


def test_container_limit_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, 'CGROUP', tmp_path)
    monkeypatch.setattr(memory, 'PROCESS_GROUP', tmp_path / 'own')
    machine = memory.available_bytes(CPU)
    assert machine == pytest.approx(psutil.virtual_memory().available, rel=0.1)
    (tmp_path / 'own').write_text('0::/job/step\n')
    (tmp_path / 'job/step').mkdir(parents=True)
    assert memory.available_bytes(CPU) == pytest.approx(machine, rel=0.1)
    files = dict(max='3000000', current='2500000', stat='anon 5\ninactive_file 400000\nactive_file 7\n')
    for name, content in files.items():
        (tmp_path / f'job/memory.{name}').write_text(content)
    assert memory.available_bytes(CPU) == 900_007
    (tmp_path / 'job/memory.max').write_text('max\n')
    assert memory.available_bytes(CPU) == pytest.approx(machine, rel=0.1)


@pytest.mark.parametrize('line', ['4:memory:/job/step', '9:cpuset,memory,hugetlb:/job/step'])
def test_container_limit_counts_in_version_1(tmp_path, monkeypatch, line):
    monkeypatch.setattr(memory, 'CGROUP', tmp_path)
    monkeypatch.setattr(memory, 'PROCESS_GROUP', tmp_path / 'own')
    (tmp_path / 'own').write_text(f'5:cpu,cpuacct:/\n{line}\n1:name=systemd:/job\n0::/job\n')
    (tmp_path / 'memory/job/step').mkdir(parents=True)
    files = dict(limit_in_bytes='3000000', usage_in_bytes='2500000',
                 stat='inactive_file 1\nactive_file 1\ntotal_inactive_file 400000\ntotal_active_file 7\n')
    for folder, limit in (('memory/job/step', 2**63 - 4096), ('memory/job', 3000000)):
        for name, content in (files | dict(limit_in_bytes=str(limit))).items():
            (tmp_path / folder / f'memory.{name}').write_text(content)
    assert memory.available_bytes(CPU) == 900_007
    for name in files:
        (tmp_path / f'memory/job/memory.{name}').rename(tmp_path / f'memory/memory.{name}')  # as seen in a container
    assert memory.available_bytes(CPU) == 900_007
