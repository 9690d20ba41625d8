"""Video files: all frames in order, and a plain word when some are missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolov12.data import video
from yolov12.data.sources import Item, SourceOptions, open_source
from yolov12.data.video import is_video, read_camera
from yolov12.errors import SourceError

FRAMES = 12


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames, each brighter than the one before."""
    path = tmp_path_factory.mktemp("video") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for i in range(FRAMES):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    return path


def read(path: Path, **options: int) -> tuple[list[Item], list[float], str | None]:
    """Items, mean brightness of the good ones, and what the last one says if it fails."""
    items = list(open_source(path, SourceOptions(**options)).items)
    means: list[float] = []
    for item in items:
        try:
            means.append(float(item.load().mean()))
        except SourceError as error:
            return items, means, str(error)
    return items, means, None


def test_all_frames_in_order(clip: Path) -> None:
    items, means, error = read(clip)
    assert error is None
    assert [item.frame for item in items] == list(range(FRAMES))
    assert means == pytest.approx([20 * i for i in range(FRAMES)], abs=3)
    assert not any(item.again for item in items)


def test_stride(clip: Path) -> None:
    items, means, _ = read(clip, vid_stride=5)
    assert [item.frame for item in items] == [0, 5, 10]
    assert means == pytest.approx([0, 100, 200], abs=3)


def test_content_decides(clip: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "clip.jpg"
    renamed.write_bytes(clip.read_bytes())
    assert open_source(renamed).kind == "video"


def test_the_pixel_limit_holds_for_frames(clip: Path) -> None:
    with pytest.raises(SourceError, match="pixels 3072 > 1000"):
        read(clip, max_pixels=1000)


def test_a_broken_video_in_a_folder_is_one_failed_item(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_bytes(clip.read_bytes())
    (tmp_path / "b.avi").write_bytes(clip.read_bytes()[:60])
    opened = open_source(tmp_path)
    assert (opened.kind, opened.count) == ("video", None)
    items = list(opened.items)
    assert len(items) == FRAMES + 1
    with pytest.raises(SourceError, match=r"b\.avi"):
        items[-1].load()


HOSTILE = {
    "ok.mp4": (60, None),
    "ok.avi": (60, None),
    "fps0.avi": (60, None),
    "lie_count.avi": (60, None),
    "trunc_50.avi": (30, "read 30 of 60 frames"),
}


def test_damaged_videos(hostile: Callable[[str], Path], capfd: pytest.CaptureFixture[str]) -> None:
    folder = hostile("gen_video.py")
    for name, (count, words) in HOSTILE.items():
        _, means, error = read(folder / name)
        assert len(means) == count, name
        assert (error is None) if words is None else (error is not None and words in error and name in error)
    _, means, error = read(folder / "corrupt_mid.avi")
    assert error is not None
    assert f"read {len(means)} of 60 frames" in error
    assert min(means) > 60  # no black frame was made up
    for name in ("trunc_90.mp4", "zero.avi", "huge_dim.avi"):
        with pytest.raises(SourceError, match=name):
            read(folder / name)
    for name in ("empty.mp4", "text.mp4"):
        assert name in str(read(folder / name)[2])
    capfd.readouterr()  # the decoder's own remarks


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\0\0\0\x20ftypisom", True),
        (b"\0\0\0\x20ftypavif", False),
        (b"RIFF\0\0\0\0AVI LIST", True),
        (b"RIFF\0\0\0\0WEBPVP8 ", False),
        (b"\x1a\x45\xdf\xa3....", True),
        (b"G" + bytes(187) + b"G" + bytes(20), True),
        (b"GIF89a", False),
        (b"#EXTM3U\nhttps://example.org/x.ts", False),
        (b"ffconcat version 1.0\nfile x", False),
        (b"", False),
    ],
)
def test_is_video(head: bytes, expected: bool) -> None:
    assert is_video(head) is expected


class FakeCamera:
    """Three frames, then the cable is pulled."""

    def __init__(self, *_: object) -> None:
        self.left = 3

    def set(self, *_: object) -> None: ...

    def release(self) -> None: ...

    def isOpened(self) -> bool:
        return True

    def grab(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.zeros((4, 4, 3), np.uint8)


def test_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video.cv2, "VideoCapture", FakeCamera)
    assert [number for number, _ in read_camera(0, 1)] == [0, 1, 2]
    for source in (0, "0"):
        opened = open_source(source)
        assert (opened.kind, opened.count) == ("camera", None)
        assert [item.name for item in opened.items] == ["camera 0"] * 3


def test_a_camera_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match="camera 97"):
        next(open_source(97).items)
    capfd.readouterr()
