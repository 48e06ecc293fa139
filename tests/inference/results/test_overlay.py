import numpy as np

from xcit_mm.inference.results.overlay import draw_overlay


def test_only_a_black_class_0_is_transparent():
    image, labels = np.full((40, 200, 3), 200, np.uint8), np.zeros((40, 200), int)
    labels[:20] = 1
    black = np.asarray(draw_overlay(image, labels, ('sky', 'road'), [[0, 0, 0], [0, 0, 0]]))
    assert (black[20:40] == 200).all() and (black[:20] == 100).all()
    assert len(black) > 40  # a legend that lists the road is added below
    blue = np.asarray(draw_overlay(image, labels, ('sky', 'road'), [[0, 0, 255], [0, 0, 0]]))
    assert (blue[20:40] == (100, 100, 228)).all()


def test_legend_is_omitted_without_visible_classes():
    image = np.full((40, 200, 3), 200, np.uint8)
    assert np.array_equal(draw_overlay(image, np.zeros((40, 200), int), ('sky', ), [[0, 0, 0]]), image)


def test_pixels_without_data_are_transparent():
    image, labels = np.full((40, 200, 3), 200, np.uint8), np.full((40, 200), 1)
    labels[20:] = 255
    drawn = np.asarray(draw_overlay(image, labels, ('sky', 'road'), [[0, 0, 255], [0, 0, 0]]))
    assert (drawn[20:40] == 200).all() and (drawn[:20] == 100).all()
