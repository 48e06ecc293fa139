from xcit_mm.datasets.file_counts import first_difference


def test_the_first_difference_is_named(tmp_path):
    layout = {'images/*/*.png': 2, 'annotations/train.json': 1}
    for name in ('a', 'b', 'c'):
        (tmp_path / 'images' / name).mkdir(parents=True)
    assert first_difference(tmp_path, layout) == 'there should be 2 of images/*/*.png, and there are 0'
    for name in ('a/0.png', 'b/0.png', 'c/0.txt'):
        (tmp_path / 'images' / name).touch()
    assert first_difference(tmp_path, layout) == 'there should be 1 of annotations/train.json, and there are 0'
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/train.json').touch()
    assert first_difference(tmp_path, layout) is None
    (tmp_path / 'images/c/0.png').touch()
    assert first_difference(tmp_path, layout) == 'there should be 2 of images/*/*.png, and there are 3'
