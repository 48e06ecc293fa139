"""Parts for job arrays are disjoint, complete and of similar size."""
import pytest

from xcit_mm.errors import InputError
from xcit_mm.many_files import part_of


def test_parts_are_disjoint_complete_and_balanced(tmp_path):
    paths = [tmp_path / f'{number}.tif' for number in range(10)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes(number * 7 % 10))
    parts = [part_of(paths[::-1], f'{number}/3') for number in (1, 2, 3)]
    assert sorted(sum(parts, [])) == paths and parts == [part_of(paths, f'{number}/3') for number in (1, 2, 3)]
    sizes = [sum(path.stat().st_size for path in part) for part in parts]
    assert max(sizes) - min(sizes) <= 9
    assert part_of(paths, None) == paths and part_of(paths[:1], '2/2') == []


@pytest.mark.parametrize('part', ['0/3', '4/3', '1/0', '-1/3', '1', '1/2/3', '1.5/3', 'a/b', '', '²/3'])
def test_a_part_that_does_not_exist_is_refused(tmp_path, part):
    with pytest.raises(InputError, match='--part must be i/n with i from 1 to n'):
        part_of([tmp_path], part)
