"""Show the page of a result in headless Chromium."""
import io
import shutil
from contextlib import contextmanager

import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

NEEDED = 'Chromium and chromedriver, e.g. apt-get install chromium chromium-driver'
IS_LOADED = """return [0, 1].every((layer) => viewer.world.getItemAt(layer)?.getFullyLoaded()) && !viewer.isAnimating()
    && viewer.viewport.getBounds(true).equals(viewer.viewport.getBounds(false))"""


def find_chromium():
    """Return the paths of Chromium and of its driver, or None if one of them is missing."""
    program = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
    driver = shutil.which('chromedriver')
    return (program, driver) if program and driver else None


@contextmanager
def running_chromium(width=1200, height=800):
    """Yield a browser with a window of this size, px."""
    program, driver = find_chromium()
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ('headless=new', 'no-sandbox', 'disable-dev-shm-usage', 'force-device-scale-factor=1',
                     f'window-size={width},{height}'):
        options.add_argument(f'--{argument}')
    options.set_capability('goog:loggingPrefs', dict(browser='ALL', performance='ALL'))
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as browser:
        yield browser


class ShownPage:
    """A page in a browser.

    Args:
        browser: from ``running_chromium``.
        file: the page's ``index.html``.
    """

    def __init__(self, browser, file):
        self.browser = browser
        browser.get(file.as_uri())
        self.wait()

    def wait(self):
        """Wait until the image and the labels are shown and nothing moves."""
        WebDriverWait(self.browser, 60).until(lambda browser: browser.execute_script(IS_LOADED))
        self.browser.execute_async_script('requestAnimationFrame(() => requestAnimationFrame(arguments[0]))')

    def element(self, selector):
        return self.browser.find_element('css selector', selector)

    def screenshot(self):
        """Return the window's content: (H, W, 3) uint8, RGB."""
        self.wait()
        return np.asarray(Image.open(io.BytesIO(self.browser.get_screenshot_as_png())).convert('RGB'))

    def color(self, x, y):
        """Return the colour on the screen of a pixel of the image."""
        pixels = self.screenshot().astype(int)
        column, row = self.browser.execute_script(
            'const {x, y} = viewer.world.getItemAt(0).imageToViewerElementCoordinates('
            f'new OpenSeadragon.Point({x} + 0.5, {y} + 0.5)); return [Math.floor(x), Math.floor(y)]')
        return pixels[row, column]
