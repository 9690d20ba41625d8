"""Pictures of training batches: what the network is shown, with every label that it is to learn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from yolov12.atomic import write_atomic
from yolov12.data.sample import Batch, Targets
from yolov12.evaluation.curves import FONT, drawable
from yolov12.ops.rotated import rotated_corners

MAX_TILES: Final = 16
MAX_PICTURE_SIDE: Final = 1920
MASK_OPACITY: Final = 0.45
Color = tuple[int, int, int]


def draw_batch(batch: Batch, names: Mapping[int, str], path: Path) -> None:
    """A grid of up to 16 training images as the model sees them, with their labels, as JPEG or PNG.

    The suffix of `path` chooses the format. Large images are drawn smaller, so that the picture stays below 1920 px.
    """
    images = batch.images[:MAX_TILES].cpu()  # (B, 3, H, W) uint8 RGB
    count, _, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    scale = min(1.0, MAX_PICTURE_SIDE / (columns * max(height, width)))
    tile = round(width * scale), round(height * scale)
    picture = Image.new("RGB", (columns * tile[0], math.ceil(count / columns) * tile[1]), "white")
    font = ImageFont.truetype(findfont(FontProperties(family=FONT)), 11)
    targets = batch.targets.to("cpu")
    for i, image in enumerate(images):
        mine = torch.nonzero(targets.image_index == i).flatten()
        pixels = image.permute(1, 2, 0).numpy()  # (H, W, 3)
        colors = [_color(label) for label in targets.labels[mine].tolist()]
        if targets.masks is not None:
            pixels = _tinted(pixels, targets.masks[i], colors)
        drawn = Image.fromarray(np.ascontiguousarray(pixels)).resize(tile)
        _draw_objects(ImageDraw.Draw(drawn), targets, mine, colors, names, scale, font)
        picture.paste(drawn, (i % columns * tile[0], i // columns * tile[1]))
    write_atomic(path, lambda file: picture.save(file, format="PNG" if path.suffix.lower() == ".png" else "JPEG"))


def _draw_objects(
    draw: ImageDraw.ImageDraw,
    targets: Targets,
    mine: Tensor,
    colors: list[Color],
    names: Mapping[int, str],
    scale: float,
    font: ImageFont.FreeTypeFont,
) -> None:
    """Boxes, or rotated boxes, keypoints and class names of the rows `mine` of one image."""
    boxes = (targets.boxes_input[mine] * scale).tolist()
    for k, (label, box, color) in enumerate(zip(targets.labels[mine].tolist(), boxes, colors, strict=True)):
        if targets.rotated_input is None:
            draw.rectangle(box, outline=color, width=2)
        else:
            corners = rotated_corners(targets.rotated_input[mine[k]]) * scale  # (4, 2)
            draw.polygon([tuple(corner) for corner in corners.tolist()], outline=color, width=2)
        if targets.keypoints_input is not None:
            for x, y, flag in targets.keypoints_input[mine[k]].tolist():
                if flag:
                    at = x * scale, y * scale
                    draw.circle(at, 3, fill=color if flag > 1 else None, outline="white")
        text = drawable(names[label])
        corner = max(box[0], 0.0), max(box[1] - 13, 0.0)
        draw.rectangle(draw.textbbox(corner, text, font=font), fill=color)
        draw.text(corner, text, fill="white", font=font)


def _tinted(pixels: np.ndarray, mask: Tensor, colors: list[Color]) -> np.ndarray:
    """The picture (H, W, 3) with the objects of an index map (h, w) in their colours."""
    height, width = pixels.shape[:2]
    table = np.array([(0, 0, 0), *colors], np.float32)
    index = np.asarray(Image.fromarray(mask.numpy().astype(np.int32)).resize((width, height), Image.Resampling.NEAREST))
    tinted = (1 - MASK_OPACITY) * pixels + MASK_OPACITY * table[index]
    return np.where((index > 0)[..., None], tinted, pixels).astype(np.uint8)


def _color(label: int) -> Color:
    red, green, blue = colormaps["tab10"](label % 10, bytes=True)[:3]
    return int(red), int(green), int(blue)
