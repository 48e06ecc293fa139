"""Draw results over the image."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.structures import InstanceData
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .png import save_png
from .sink import SINKS, ResultMeta, Sink, background
from .thinning import Thinning

OPACITY = 0.5
MIN_SCORE = 0.3  # by default, objects with lower scores are not shown
DRAWN = 2048  # longest side of a picture of objects, px


@SINKS.register_module(name='overlay')
class Overlay(Sink):
    """A sink for ``<name>_overlay.png``: the image with coloured classes and a legend, or with boxes and masks.

    Of a map that is larger than ``SHOWN`` pixels, only some rows and columns are shown.
    """

    summary = 'a picture of the result over the image'
    endings = ('_overlay.png', )

    def write_labels(self, folder: Path, bands: Iterable[Tensor], meta: ResultMeta) -> None:
        thin = Thinning(meta.height, meta.width)
        labels = thin(band.numpy() for band in bands)
        picture = draw_overlay(thin(meta.read_image()), labels, meta.classes, meta.palette)
        save_png(picture, folder / f'{meta.name}_overlay.png')

    def write_objects(self, folder: Path, objects: InstanceData, meta: ResultMeta) -> None:
        image = np.concatenate(list(meta.read_image()))
        picture = draw_instances(image, objects, dict(classes=meta.classes, palette=meta.palette))
        save_png(picture, folder / f'{meta.name}_overlay.png')


def draw_overlay(image: np.ndarray, labels: np.ndarray, classes: Sequence[str],
                 palette: Sequence[Sequence[int]]) -> Image.Image:
    """Blend class colours over an image, and add a legend of the classes that occur in it.

    Pixels of the background (see ``background``) and pixels without data are not coloured.

    Args:
        image: (H, W, 3) uint8, RGB.
        labels: (H, W) class indices; larger ones stand for pixels without data.
        classes: name of each class.
        palette: RGB of each class, 0 … 255.

    Returns:
        An RGB picture, max(W, 160) pixels wide and as high as the image plus the legend.
    """
    colors = np.asarray([*palette, (0, 0, 0)], np.uint8)
    labels = np.minimum(labels, len(palette))
    visible = np.ones(len(colors), bool)
    visible[[len(palette), *background(palette)]] = False
    blended = cv2.addWeighted(image, 1 - OPACITY, colors[labels], OPACITY, 0)
    np.copyto(blended, image, where=~visible[labels][..., None])
    present = np.flatnonzero((np.bincount(labels.ravel(), minlength=len(colors)) > 0) & visible)
    entries = [(classes[int(index)], tuple(colors[index].tolist())) for index in present]
    return _add_legend(Image.fromarray(blended), entries)


def draw_instances(image: np.ndarray, instances: InstanceData, meta: dict) -> Image.Image:
    """Draw boxes, masks, classes and scores over an image, as mmdet does.

    Args:
        image: (H, W, 3) uint8, RGB.
        instances: ``pred_instances`` of ``inference_detector`` with ``rle``, on the CPU.
        meta: ``classes`` and ``palette`` (RGB).

    Returns:
        An RGB picture the same size as the image, but at most ``DRAWN`` pixels on its longer side.
    """
    from mmdet.structures import DetDataSample  # only detection needs mmdet
    from mmdet.visualization import DetLocalVisualizer
    from pycocotools import mask

    scale = min(DRAWN / max(image.shape[:2]), 1.0)  # mmdet holds all masks in memory at once
    size = tuple(max(round(side * scale), 1) for side in image.shape[1::-1])
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    drawn = InstanceData(bboxes=instances.bboxes * scale, labels=instances.labels, scores=instances.scores)
    if 'masks' in instances:
        masks = [cv2.resize(mask.decode(encoded), size, interpolation=cv2.INTER_NEAREST) for encoded in instances.masks]
        drawn.masks = np.array(masks, bool).reshape(-1, *image.shape[:2])
    visualizer = DetLocalVisualizer()
    visualizer.dataset_meta = meta | dict(palette=[tuple(color) for color in meta['palette']])  # mmdet needs tuples
    visualizer.add_datasample('instances', image, DetDataSample(pred_instances=drawn), draw_gt=False,
                              pred_score_thr=0.0)
    return Image.fromarray(visualizer.get_image())


def _add_legend(picture: Image.Image, entries: list[tuple[str, tuple[int, ...]]]) -> Image.Image:
    size = max(12, picture.width // 80)  # text height, px
    font, width = ImageFont.load_default(size), max(picture.width, 160)
    positions, x, y = [], size // 2, size // 2
    for name, _ in entries:
        length = int(font.getlength(name)) + 2 * size
        if x + length > width and x > size:
            x, y = size // 2, y + int(1.5 * size)
        positions.append((x, y))
        x += length + size // 2
    canvas = Image.new('RGB', (width, picture.height + (y + 2 * size if entries else 0)), 'white')
    canvas.paste(picture, (0, 0))
    draw = ImageDraw.Draw(canvas)
    for (name, color), (x, y) in zip(entries, positions):
        top = picture.height + y
        draw.rectangle((x, top, x + size, top + size), fill=color, outline='black')
        draw.text((x + 1.4 * size, top + size / 2), name, fill='black', font=font, anchor='lm')
    return canvas
