"""The page of a result works in a browser, opened from disk."""
import json
from functools import partial

import numpy as np
import pytest
import torch
from browser import NEEDED, ShownPage, find_chromium, running_chromium
from rasters import write_raster
from selenium.webdriver import ActionChains, Keys

from xcit_mm.inference.file_picture import show
from xcit_mm.inference.results import ResultMeta, build_sinks, write_labels
from xcit_mm.inference.sources import open_source

pytestmark = pytest.mark.xdist_group('browser')  # the tests share a browser
SIZE = 1100, 1300  # with pixels of 50 cm
CLASSES = ['background', 'road', 'water', 'roof']
PALETTE = np.array([[0, 0, 0], [240, 40, 20], [0, 90, 255], [9, 9, 9]])
COLOR = np.array([90, 160, 120])  # of the image
ROAD, WATER, BACKGROUND = (650, 300), (1000, 500), (200, 1000)  # x and y of a pixel of each


@pytest.fixture(scope='module')
def chromium():
    """Return a running browser."""
    if not find_chromium():
        pytest.skip(f'needs {NEEDED}')
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp('page')
    path = write_raster(folder / 'a.tif', np.broadcast_to(COLOR.astype(np.uint8)[:, None, None], (3, *SIZE)))
    labels = torch.zeros(SIZE, dtype=torch.uint8)
    labels[:, 570:730], labels[200:700, 800:], labels[:100, :80] = 1, 2, 255
    with open_source(path) as source:
        place = source.georeference
    read_image = partial(show, partial(open_source, path), is_bgr=True)
    meta = ResultMeta('a <b> & c', *SIZE, CLASSES, PALETTE.tolist(), read_image, place)
    write_labels(build_sinks(['page']), folder / 'out', labels.split(300), meta)
    path.unlink()
    return folder / 'out/a <b> & c_page/index.html'


@pytest.fixture
def page(chromium, file):
    return ShownPage(chromium, file)


def road_on_screen(page):
    """Return the first and the last column of the road on the screen, in the middle of the window."""
    row = page.screenshot()[400, :800].astype(int)
    columns = np.flatnonzero(np.abs(row - (COLOR + PALETTE[1]) / 2).max(axis=1) < 6)
    return columns[0], columns[-1] + 1


def assert_similar(found, expected):
    assert np.abs(found - expected).max() < 6, f'{found} is not {expected}'  # JPEG is not exact


def test_it_loads_from_disk_without_errors_and_network(chromium, file):
    for kind in ('browser', 'performance'):
        chromium.get_log(kind)
    page = ShownPage(chromium, file)
    assert chromium.get_log('browser') == []
    events = [json.loads(entry['message'])['message'] for entry in chromium.get_log('performance')]
    urls = [event['params']['request']['url'] for event in events if event['method'] == 'Network.requestWillBeSent']
    assert len(urls) > 10 and {url.partition(':')[0] for url in urls} <= {'file', 'data', 'blob'}
    assert chromium.title == page.element('h1').text == 'a <b> & c'


def test_it_shows_the_image_and_the_labels(page):
    assert_similar(page.color(*ROAD), (COLOR + PALETTE[1]) / 2)
    assert_similar(page.color(*WATER), (COLOR + PALETTE[2]) / 2)
    assert_similar(page.color(*BACKGROUND), COLOR)  # not shown at first
    assert_similar(page.color(40, 50), COLOR)  # without data


def test_opacity(page):
    page.element('#opacity').send_keys(Keys.END)
    assert np.array_equal(page.color(*ROAD), PALETTE[1])
    assert page.element('#opacity-text').text == '100 %'
    page.element('#opacity').send_keys(Keys.HOME)
    assert_similar(page.color(*ROAD), COLOR)


def test_classes_are_hidden_and_shown(page):
    page.element('input[value="1"]').click()
    assert_similar(page.color(*ROAD), COLOR)
    assert_similar(page.color(*WATER), (COLOR + PALETTE[2]) / 2)
    page.element('input[value="0"]').send_keys(Keys.SPACE)
    assert_similar(page.color(*BACKGROUND), COLOR / 2)
    page.element('#none').click()
    assert_similar(page.color(*WATER), COLOR)
    page.element('#all').click()
    for place, label in ((ROAD, 1), (WATER, 2), (BACKGROUND, 0)):
        assert_similar(page.color(*place), (COLOR + PALETTE[label]) / 2)


def test_the_legend_gives_areas(page):
    rows = [row.text.splitlines() for row in page.browser.find_elements('css selector', 'li')]
    # The roof does not occur.
    assert rows == [['background', '24.9 ha'], ['water', '6.25 ha'], ['road', '4.4 ha']]
    assert page.element('#without-data').text == 'Without data: 2,000 m²'
    areas = page.browser.execute_script('return [4, 39999, 1e7, 1e-12].map((pixels) => areaOf(pixels))')
    assert areas == ['1 m²', '10,000 m²', '2.5 km²', '0.25 µm²']
    assert page.browser.execute_script('RESULT.pixel = null; return areaOf(12345)') == '12,345 px'


def test_zooming_and_the_scale_bar(page):
    for clicks in (0, 1, 1):
        for _ in range(clicks):
            page.element('#zoom-in').click()
        left, right = road_on_screen(page)
        meters = 80 / (right - left)  # per pixel of the screen; the road is 160 px wide
        length, unit = page.element('#scale-text').text.split()
        bar = page.element('#scale-bar').size['width'] * meters
        assert unit == 'm' and bar == pytest.approx(float(length), rel=0.03)
    page.element('#home').click()
    assert road_on_screen(page)[1] - road_on_screen(page)[0] < (right - left) / 2


def test_dragging_and_keys_move_the_image(page):
    page.element('#zoom-in').click()
    before = road_on_screen(page)
    ActionChains(page.browser).drag_and_drop_by_offset(page.element('.openseadragon-canvas'), 120, 0).perform()
    dragged = road_on_screen(page)
    assert dragged[0] > before[0] + 60
    page.element('.openseadragon-canvas').send_keys(Keys.ARROW_RIGHT)
    assert road_on_screen(page)[0] < dragged[0]


def test_more_than_255_classes(chromium, tmp_path):
    labels = torch.full((90, 70), 299, dtype=torch.int32)
    labels[:, :35] = 65535
    palette = np.random.default_rng(0).integers(0, 256, (300, 3))
    image = np.full((90, 70, 3), COLOR, np.uint8)
    meta = ResultMeta('b', 90, 70, list(map(str, range(300))), palette.tolist(), lambda: [image], None)
    write_labels(build_sinks(['page']), tmp_path, [labels], meta)
    page = ShownPage(chromium, tmp_path / 'b_page/index.html')
    assert [row.text for row in chromium.find_elements('css selector', 'li')] == ['299\n3,150 px']
    assert not page.element('#scale').is_displayed()
    page.element('#opacity').send_keys(Keys.END)
    assert np.array_equal(page.color(60, 50), palette[299])
    assert_similar(page.color(20, 50), COLOR)
