from xcit_mm.datasets.file_counts import first_difference


def test_first_difference_is_described(tmp_path):
    layout = {'images/*/*.png': 2, 'annotations/train.json': 1}
    for name in ('a', 'b', 'c'):
        (tmp_path / 'images' / name).mkdir(parents=True)
    assert first_difference(tmp_path, layout) == 'images/*/*.png matches 0 files instead of 2'
    for name in ('a/0.png', 'b/0.png', 'c/0.txt'):
        (tmp_path / 'images' / name).touch()
    assert first_difference(tmp_path, layout) == 'annotations/train.json matches 0 files instead of 1'
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/train.json').touch()
    assert first_difference(tmp_path, layout) is None
    (tmp_path / 'images/c/0.png').touch()
    assert first_difference(tmp_path, layout) == 'images/*/*.png matches 3 files instead of 2'
