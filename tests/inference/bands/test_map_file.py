"""Maps that wait for the head can be in files: the result is the same, and no file stays."""
import pytest
import torch
from full_disk import files_up_to

from xcit_mm import XCiT
from xcit_mm.errors import InputError
from xcit_mm.inference.bands import backbone as banded_backbone
from xcit_mm.inference.bands.map_file import MapFile
from xcit_mm.ops.rows import Stored
from xcit_mm.statistics import ImageStatistics


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_rows_are_those_that_were_written(tmp_path, dtype):
    content = torch.randn(50, 7, 3).to(dtype)
    rows = MapFile(content, tmp_path / 'new')
    reader = rows.reader()
    assert not list((tmp_path / 'new').iterdir())  # it has no name, so it disappears with the process
    assert torch.equal(reader.read(0, 20, 15), content[:20])
    assert torch.equal(reader.read(15, 50), content[15:])


@pytest.mark.parametrize('patch_size', [8, 16])
def test_levels_are_the_same_as_in_memory(monkeypatch, tmp_path, patch_size):
    arch = dict(embed_dim=16, depth=4, num_heads=2, patch_size=patch_size)
    backbone, image = XCiT(arch, out_strides=(4, 8, 16, 32)).eval(), torch.randn(71, 90, 3)
    written = []
    monkeypatch.setattr(banded_backbone, 'MapFile',
                        lambda *arguments: written.append(MapFile(*arguments)) or written[-1])

    def run(scratch):
        levels = banded_backbone.compute_levels(backbone, Stored(image), ImageStatistics(), lambda share: None, scratch)
        return [level.reader() for level in levels]

    with torch.inference_mode():
        in_memory, small = run(None), run(tmp_path)
        assert not written  # small maps stay in memory
        monkeypatch.setattr(banded_backbone, 'FILE_BYTES', 0)
        in_files = run(tmp_path)
        assert len(written) == {8: 2, 16: 3}[patch_size]  # maps that are not reduced, except for the last
        for first, second, third in zip(in_memory, small, in_files, strict=True):
            expected = first.read_all()
            assert torch.equal(expected, second.read_all())
            height = len(expected)
            parts = [third.read(start, min(start + 3, height)) for start in range(0, height, 3)]
            assert torch.equal(expected, torch.cat(parts))


def test_a_full_disk_is_one_line(tmp_path):
    with files_up_to(10_000), pytest.raises(InputError, match=r'^cannot keep feature maps .* in the folder .*$'):
        MapFile(torch.zeros(100, 100, 4), tmp_path)
