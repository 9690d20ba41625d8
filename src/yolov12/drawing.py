"""Boxes with readable labels on a picture; knows arrays only.

Text goes through Pillow, so that names in any script appear when the machine has a font for them. Boxes use a fixed
palette by class; the line width follows the size of the image, and a label is always kept inside of it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Twenty colours (red, green, blue) that are told apart on photographs; class c has colour c % 20.
PALETTE: Final = (
    0xE6194B,
    0x3CB44B,
    0x4363D8,
    0xF58231,
    0x911EB4,
    0x42D4F4,
    0xF032E6,
    0xBFEF45,
    0xFABED4,
    0x469990,
    0xDCBEFF,
    0x9A6324,
    0xFFFAC8,
    0x800000,
    0xAAFFC3,
    0x808000,
    0xFFD8B1,
    0x000075,
    0xFFE119,
    0xA9A9A9,
)
# Fonts with Korean, Chinese and Japanese glyphs, as Linux, macOS and Windows install them.
WIDE_FONTS: Final = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansKR-Regular.otf",
    "NotoSansKR-Regular.ttf",
    "NanumGothic.ttf",
    "AppleSDGothicNeo.ttc",
    "malgun.ttf",
    "unifont.ttf",
)
LATIN_FONTS: Final = ("DejaVuSans.ttf", "Arial.ttf")


def color_of(label: int) -> tuple[int, int, int]:
    """BGR colour of a class."""
    code = PALETTE[label % len(PALETTE)]
    return code & 255, code >> 8 & 255, code >> 16


def draw_boxes(image: Pixels, boxes_xyxy: NDArray[np.float32], labels: Sequence[int], texts: Sequence[str]) -> Pixels:
    """A copy of `image` (H, W, 3) BGR with boxes (N, 4) in pixels, coloured by class, each with its text ('' for none).

    All boxes, then all texts, each from the last to the first, so that the best of a sorted list lies on top.
    """
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    line = max(round((height + width) / 2 * 0.003), 1)
    font_size = max(round(min(height, width) * 0.03), 11)
    edges = np.clip(np.rint(boxes_xyxy), 0, [width - 1, height - 1, width - 1, height - 1]).astype(int)[::-1].tolist()
    for (left, top, right, bottom), label in zip(edges, reversed(labels), strict=True):
        cv2.rectangle(canvas, (left, top), (right, bottom), color_of(label), line)
    for (left, top, _, _), label, text in zip(edges, reversed(labels), reversed(texts), strict=True):
        if text:
            draw_text(canvas, text, (left, top), color_of(label), font_size)
    return canvas


def draw_text(canvas: Pixels, text: str, corner: tuple[int, int], color: tuple[int, int, int], size: int) -> None:
    """Write `text` on a filled tag above `corner` (x, y), or where it fits inside `canvas`, in place."""
    height, width = canvas.shape[:2]
    tag = _text_mask(text, size)[:height, :width]  # (h, w) coverage 0..255
    tag_height, tag_width = tag.shape
    left = max(min(corner[0], width - tag_width), 0)
    top = corner[1] - tag_height if corner[1] >= tag_height else min(corner[1], height - tag_height)
    blue, green, red = color
    bright = 0.114 * blue + 0.587 * green + 0.299 * red > 140
    ink = np.zeros(3) if bright else np.full(3, 255.0)
    coverage = tag[:, :, None] / 255.0
    canvas[top : top + tag_height, left : left + tag_width] = np.rint(coverage * ink + (1 - coverage) * np.array(color))


@functools.lru_cache(maxsize=512)
def _text_mask(text: str, size: int) -> Pixels:
    """How much of each pixel the text covers, (h, w), with a margin."""
    font = _font(size, wide=not text.isascii())
    margin = max(size // 5, 2)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    _, line_top, _, line_bottom = (round(edge) for edge in font.getbbox("Ay"))  # equal heights for all labels
    top, bottom = min(top, line_top), max(bottom, line_bottom)
    picture = Image.new("L", (max(right - left, 1) + 2 * margin, max(bottom - top, 1) + 2 * margin))
    ImageDraw.Draw(picture).text((margin - left, margin - top), text, fill=255, font=font)
    return np.asarray(picture)


@functools.lru_cache(maxsize=64)
def _font(size: int, *, wide: bool) -> Font:
    """The first installed font of the list, else the one that Pillow brings."""
    for name in (*WIDE_FONTS, *LATIN_FONTS) if wide else LATIN_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
