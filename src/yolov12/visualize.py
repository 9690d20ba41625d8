"""Results as pictures and files: what `predict --save` and `--save-txt` write."""

from __future__ import annotations

from pathlib import Path

from yolov12.results import Result


def save_result(result: Result, folder: Path, *, image: bool, labels: bool, scores: bool = False) -> list[Path]:
    """Write the annotated image as <name>.jpg and label rows, with their `scores` or not, as labels/<name>.txt.

    A frame's name carries its number. Two sources of the same name do not overwrite each other: the second is <name>_2.
    Returns the files written.
    """
    stem = Path(result.path).stem or "image"
    if result.frame is not None:
        stem = f"{stem}_{result.frame:06d}"
    written = []
    if image:
        written.append(free_path(folder, stem, ".jpg"))
        result.save(written[-1])
    if labels:
        (folder / "labels").mkdir(exist_ok=True)
        written.append(free_path(folder / "labels", stem, ".txt"))
        result.save_txt(written[-1], save_conf=scores)
    return written


def free_path(folder: Path, stem: str, suffix: str) -> Path:
    """<stem><suffix>, or one of <stem>_2<suffix>, <stem>_3<suffix>, ... that is not there yet.

    A few looks find it, however many there are: it is the first free one where numbers were taken in order.
    """
    if not (first := folder / f"{stem}{suffix}").exists():
        return first
    taken, free = 1, 2
    while (folder / f"{stem}_{free}{suffix}").exists():
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        if (folder / f"{stem}_{middle}{suffix}").exists():
            taken = middle
        else:
            free = middle
    return folder / f"{stem}_{free}{suffix}"
