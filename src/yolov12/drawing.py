"""Boxes, masks, keypoints and readable labels on a picture; knows arrays only.

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


TINT: Final = 0.4
"""How much of a pixel's colour a mask takes over."""
SEEN: Final = 0.5
"""Keypoints that are less likely visible are not drawn."""
FAR: Final = 2**15
"""Coordinates beyond this are drawn as this far: OpenCV's would overflow."""
# Joints of a person in COCO's order: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, left one first.
PERSON_LIMBS: Final = (
    (0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12),
    (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
PERSON_SIDES: Final = (0, *(1, 2) * 8)  # middle, left, right
SIDE_COLORS: Final = (0x3CB44B, 0x42D4F4, 0xF58231)


def color_of(label: int) -> tuple[int, int, int]:
    """BGR colour of a class."""
    return _bgr(PALETTE[label % len(PALETTE)])


def _bgr(code: int) -> tuple[int, int, int]:
    return code & 255, code >> 8 & 255, code >> 16


def draw_boxes(image: Pixels, boxes_xyxy: NDArray[np.float32], labels: Sequence[int], texts: Sequence[str]) -> Pixels:
    """A copy of `image` (H, W, 3) BGR with boxes (N, 4) in pixels, coloured by class, each with its text ('' for none).

    All boxes, then all texts, each from the last to the first, so that the best of a sorted list lies on top.
    """
    canvas = np.ascontiguousarray(image).copy()
    add_boxes(canvas, boxes_xyxy, labels)
    add_tags(canvas, boxes_xyxy[:, :2], labels, texts)
    return canvas


# The functions below draw on `canvas` (H, W, 3) BGR in place, from the last object to the first.


def add_boxes(canvas: Pixels, boxes_xyxy: NDArray[np.float32], labels: Sequence[int]) -> None:
    """The frames of boxes (N, 4)."""
    edges = _inside(canvas, boxes_xyxy.reshape(-1, 2, 2))
    for (first, second), label in zip(edges[::-1].tolist(), reversed(labels), strict=True):
        cv2.rectangle(canvas, first, second, color_of(label), line_width(canvas))


def add_rotated(canvas: Pixels, corners: NDArray[np.float32], labels: Sequence[int]) -> None:
    """The frames of rotated boxes, given by their corners (N, 4, 2), which may lie outside."""
    points = np.rint(np.clip(corners, -FAR, FAR)).astype(np.int32)
    for around, label in zip(points[::-1], reversed(labels), strict=True):
        cv2.polylines(canvas, [around], True, color_of(label), line_width(canvas))


def add_masks(
    canvas: Pixels, crops: Sequence[NDArray[np.bool_]], corners: NDArray[np.int32], labels: Sequence[int]
) -> None:
    """Masks as a tint and an outline: crops (h, w) whose first pixels lie at `corners` (N, 2) x y."""
    outline = max(line_width(canvas) // 2, 1)
    for crop, (left, top), label in zip(reversed(crops), corners[::-1].tolist(), reversed(labels), strict=True):
        part = canvas[top : top + crop.shape[0], left : left + crop.shape[1]]
        if not part.size:
            continue
        tint = np.full(part.shape, color_of(label), np.uint8)
        np.copyto(part, cv2.addWeighted(part, 1 - TINT, tint, TINT, 0), where=crop[:, :, None])
        contours, _ = cv2.findContours(crop.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, color_of(label), outline, offset=(left, top))


def add_keypoints(canvas: Pixels, keypoints: NDArray[np.float32]) -> None:
    """Keypoints (N, K, 3) x y visibility, or (N, K, 2), as dots; those of 17 are a person's joints and get limbs.

    Points that are less likely to be seen than not are left out, and limbs that end there.
    """
    line = line_width(canvas)
    places = np.rint(np.clip(keypoints[:, :, :2], -FAR, FAR)).astype(int)
    seen = keypoints[:, :, 2] >= SEEN if keypoints.shape[2] > 2 else np.ones(keypoints.shape[:2], bool)
    limbs = PERSON_LIMBS if keypoints.shape[1] == len(PERSON_SIDES) else ()
    for points, shown in zip(places[::-1].tolist(), seen[::-1].tolist(), strict=True):
        for first, second in limbs:
            if shown[first] and shown[second]:
                side = PERSON_SIDES[first] if PERSON_SIDES[first] == PERSON_SIDES[second] else 0
                cv2.line(canvas, points[first], points[second], _bgr(SIDE_COLORS[side]), line, cv2.LINE_AA)
        for number, (point, is_shown) in enumerate(zip(points, shown, strict=True)):
            if is_shown:
                color = _bgr(SIDE_COLORS[PERSON_SIDES[number]]) if limbs else color_of(number)
                cv2.circle(canvas, point, 2 * line, (0, 0, 0), -1, cv2.LINE_AA)  # a dark rim shows on any ground
                cv2.circle(canvas, point, max(2 * line - max(line // 2, 1), 1), color, -1, cv2.LINE_AA)


def add_tags(canvas: Pixels, corners: NDArray[np.float32], labels: Sequence[int], texts: Sequence[str]) -> None:
    """Texts on tags of their class' colour at `corners` (N, 2) x y; '' for none."""
    places = _inside(canvas, corners)
    for corner, label, text in zip(places[::-1].tolist(), reversed(labels), reversed(texts), strict=True):
        if text:
            draw_text(canvas, text, corner, color_of(label), font_size(canvas))


def add_list(canvas: Pixels, labels: Sequence[int], texts: Sequence[str]) -> None:
    """Texts on tags below each other in the top left corner, as many as fit; what is said of the whole picture."""
    size = font_size(canvas)
    top = margin = size // 2
    for number, (label, text) in enumerate(zip(labels, texts, strict=True)):
        height = _text_mask(text, size).shape[0]
        if number and top + height > canvas.shape[0]:
            break
        draw_text(canvas, text, (margin, min(top + height, canvas.shape[0])), color_of(label), size)
        top += height


def line_width(canvas: Pixels) -> int:
    """Pixels; grows with the picture."""
    height, width = canvas.shape[:2]
    line: int = max(round((height + width) / 2 * 0.003), 1)
    return line


def font_size(canvas: Pixels) -> int:
    """Pixels; grows with the picture, and stays readable on a small one."""
    height, width = canvas.shape[:2]
    size: int = max(round(min(height, width) * 0.03), 11)
    return size


def _inside(canvas: Pixels, points: NDArray[np.float32]) -> NDArray[np.int64]:
    """The pixels (..., 2) x y nearest to `points`."""
    height, width = canvas.shape[:2]
    return np.clip(np.rint(points), 0, [width - 1, height - 1]).astype(np.int64)


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
