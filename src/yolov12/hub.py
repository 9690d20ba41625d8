"""From a model argument to a file: an existing path, an embedded model, a cached one, or a published one to download.

The published weights of YOLOv12 (https://github.com/sunsmarterjie/yolov12) are AGPL-3.0, unlike this package. They are
fetched only when the user names one. A detector's name stands for two files, one in each layout, so the cache keeps
releases apart; models for masks and for classes of whole pictures were released in one layout. A file's SHA-256 is
recorded on its first download and checked whenever the file is used or fetched again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from yolov12.atomic import write_atomic
from yolov12.config.tasks import TASK_SUFFIXES, TASKS
from yolov12.config.variants import SCALES, Variant, check_layout, parse_variant
from yolov12.download import DownloadPolicy, download
from yolov12.errors import CheckpointError, ConfigError, SetupError, UserError, did_you_mean, printable
from yolov12.folders import CACHE_VARIABLE, cache_folder

EMBEDDED_MODELS: tuple[str, ...] = (
    "yolov12n-bccd",
    "yolov12n-seg-shapes",
    "yolov12n-pose-shapes",
    "yolov12n-obb-shapes",
    "yolov12n-cls-shapes",
)
"""Models that come with the package and work without a network."""

ASSETS = Path(__file__).resolve().parent / "assets" / "models"
MODEL_SUFFIXES = (".pt", ".safetensors")
OFFLINE_VARIABLE = "YOLOV12_OFFLINE"

PUBLISHED_FAMILY = "yolov12"
ARCHITECTURE_NAME = re.compile(rf"yolov?\d+(-[a-z]+-)?[a-z]?({'|'.join(TASK_SUFFIXES)})(\.pt)?")
"""What has the form of an architecture's name: an error about it says which part there is not."""
RELEASES = "https://github.com/sunsmarterjie/yolov12/releases/download"
RELEASE_TAGS = {
    ("detect", "turbo"): "turbo",
    ("detect", "v1.0"): "v1.0",
    ("segment", "turbo"): "seg",
    ("classify", "turbo"): "cls",
}
"""What was released, by task and layout."""
PUBLISHED_LICENCE = "AGPL-3.0"
PUBLISHED_POLICY = DownloadPolicy(hosts=("github.com", ".githubusercontent.com"))


@dataclass(frozen=True)
class PublishedModel:
    """One file of the authors' releases."""

    name: str
    """File name, e.g. `yolov12n.pt`; the same in every release."""
    tag: str
    url: str
    licence: str = PUBLISHED_LICENCE

    def cached(self) -> Path:
        """Where the file lies once it has been downloaded."""
        return cache_folder() / "models" / self.tag / self.name


def resolve_model(name_or_path: str | Path, *, layout: str = "turbo", offline: bool | None = None) -> Path:
    """The file that a model argument means; downloads a published model that is not cached yet.

    `layout` picks between the two published files of a name. `offline` None: as the environment says
    (YOLOV12_OFFLINE=1). Raises CheckpointError for what is neither a file nor a name, ConfigError for a model that this
    version does not have, SetupError when a download is needed but not possible.
    """
    text = str(name_or_path)
    if not text:
        raise CheckpointError("the model's name is empty: give a file or a name")
    if found := _existing(Path(name_or_path)):
        return found
    if (name := _embedded_name(text)) is not None:
        return embedded_path(name)
    published = _published(text, layout)
    if published.cached().is_file():
        return _verified(published)
    if is_offline(offline):
        raise SetupError(
            f"{printable(text)}: not downloaded yet, and this is an offline run. "
            f"Embedded models: {', '.join(EMBEDDED_MODELS)}"
        )
    return _fetched(published, PUBLISHED_POLICY)


def embedded_path(name: str) -> Path:
    """The file of an embedded model; raises CheckpointError when the installation lacks it."""
    path = ASSETS / f"{name}.safetensors"
    if name not in EMBEDDED_MODELS or not path.is_file():
        raise CheckpointError(f"{path}: no such embedded model. Embedded: {', '.join(EMBEDDED_MODELS)}")
    return path


def is_stored(path: Path) -> bool:
    """Whether a model file lies where names are kept, in the package or in the cache, not where a user put it."""
    homes = (ASSETS, (cache_folder() / "models").absolute())
    return any(path.absolute().is_relative_to(home) for home in homes)


def is_offline(said: bool | None = None) -> bool:
    """Whether nothing may be downloaded: as the caller said, else as the environment does."""
    return os.environ.get(OFFLINE_VARIABLE, "").lower() in ("1", "true", "yes", "on") if said is None else said


def check_online(source: object, offline: bool | None) -> None:
    """Raise SetupError if `source`, or an element of a list, is a URL, and this is an offline run."""
    for one in source if isinstance(source, list | tuple) else ():
        check_online(one, offline)
    if isinstance(source, str) and "://" in source and is_offline(offline):
        raise SetupError(f"{printable(source)}: is not fetched in an offline run; give the path of a downloaded copy")


def published_model(variant: str, layout: str) -> PublishedModel:
    """The release file of a variant such as `yolov12n` or `yolov12n-seg`, in a layout."""
    parsed, layout = parse_variant(variant), check_layout(layout)
    otherwise = f"give the path of a checkpoint, or {parsed.name}.yaml for fresh weights"
    if parsed.family != PUBLISHED_FAMILY:
        raise ConfigError(f"{printable(variant)}: only the weights of {PUBLISHED_FAMILY} are downloaded; {otherwise}")
    layouts = [known for task, known in RELEASE_TAGS if task == parsed.task]
    if not layouts:
        raise ConfigError(f"{printable(variant)}: no {parsed.task} weights were published; {otherwise}")
    if layout not in layouts:
        raise ConfigError(
            f"{printable(variant)}: {parsed.task} weights were published in the layout {', '.join(layouts)}, "
            f"not in {layout}; leave `layout` out, or {otherwise}"
        )
    name, tag = f"{parsed.name}.pt", RELEASE_TAGS[parsed.task, layout]
    return PublishedModel(name, tag, f"{RELEASES}/{tag}/{name}")


def describe_models() -> str:
    """The names that can be given, one a line, and what is on this machine already."""
    lines = ["Embedded (work without a network):", *(f"  {name}" for name in EMBEDDED_MODELS)]
    lines.append(f"Published ({PUBLISHED_LICENCE}, downloaded when you name one; --layout picks the file):")
    for name, layouts in _published_names().items():
        files = [published_model(name, layout) for layout in layouts]
        states = (f"{file.tag}: {'downloaded' if file.cached().is_file() else 'not downloaded':<14}" for file in files)
        lines.append(f"  {name:<14}  {'  '.join(states)}".rstrip())
    return "\n".join(lines)


def _published_names() -> dict[str, list[str]]:
    """The names that can be downloaded, and the layouts of each, task by task."""
    names: dict[str, list[str]] = {}
    for task, layout in RELEASE_TAGS:
        for scale in SCALES:
            names.setdefault(Variant(PUBLISHED_FAMILY, scale, task).name, []).append(layout)
    return names


def _existing(path: Path) -> Path | None:
    """The path itself, or the `.safetensors` file where a `.pt` is asked for: runs write only the former."""
    if os.path.isfile(path):  # unlike Path's, no error for a text that no path can be
        return path
    if path.suffix == ".pt" and os.path.isfile(ours := path.with_suffix(".safetensors")):
        print(f"{printable(path)} does not exist; using {printable(ours)}", file=sys.stderr)
        return ours
    return None


def _embedded_name(text: str) -> str | None:
    name = text
    for suffix in MODEL_SUFFIXES:
        name = name.removesuffix(suffix)
    if name.startswith("yolo12"):
        name = name.replace("yolo12", "yolov12", 1)
    return name if name in EMBEDDED_MODELS else None


def _published(text: str, layout: str) -> PublishedModel:
    """The release that a name means; an error that says what kind of thing the text is not."""
    if "://" in text:
        raise CheckpointError(f"{printable(text)}: a URL is not a model argument; download the file and give its path")
    if os.path.isdir(text):
        raise CheckpointError(f"{printable(text)}: is a folder, not a model file")
    if Path(text).name != text or text.endswith(".safetensors"):
        raise CheckpointError(f"{printable(text)}: no such file")
    try:
        return published_model(text, layout)
    except ConfigError:
        if ARCHITECTURE_NAME.fullmatch(text):
            raise
        names = [*EMBEDDED_MODELS, *_published_names()]
        fresh = [Variant(PUBLISHED_FAMILY, scale, task).name for scale in SCALES for task in TASKS]
        hint = did_you_mean(text, [*names, *fresh])
        raise CheckpointError(
            f"{printable(text)}: neither a file nor a model name.{hint} Names: {', '.join(names)}"
        ) from None


# ---- the cache --------------------------------------------------------------------------------------------------


def _record_file(model: PublishedModel) -> Path:
    return model.cached().with_name(f"{model.name}.json")


def _recorded_sha256(model: PublishedModel) -> str | None:
    path = _record_file(model)
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf8"))
        return str(record["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: damaged record ({error}); delete it and {model.name} beside it") from error


def _verified(model: PublishedModel) -> Path:
    """The cached file, if it still is what was downloaded."""
    path = model.cached()
    recorded, found = _recorded_sha256(model), _sha256(path)
    if recorded is None:
        _record(model, found)
    elif recorded != found:
        raise CheckpointError(f"{path}: changed since it was downloaded (SHA-256 {found}); delete it to download again")
    return path


def _fetched(model: PublishedModel, policy: DownloadPolicy) -> Path:
    """Download, compare with what an earlier download had, record. The file gets its final name last."""
    path = model.cached()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path.parent}: cannot create the cache ({error.strerror}); set {CACHE_VARIABLE}") from error
    fresh = path.with_name(f"{path.name}.new")
    with _Display(model) as display:
        download(model.url, fresh, policy, display.update)
    recorded, found = _recorded_sha256(model), _sha256(fresh)
    if recorded is not None and recorded != found:
        fresh.unlink()
        raise CheckpointError(
            f"{model.url}: the file has changed since its first download (SHA-256 {found}, then {recorded}); "
            f"delete {_record_file(model)} to accept the new one"
        )
    if recorded is None:
        _record(model, found)
    os.replace(fresh, path)
    return path


def _record(model: PublishedModel, sha256: str) -> None:
    record = {"url": model.url, "licence": model.licence, "sha256": sha256}
    write_atomic(_record_file(model), (json.dumps(record, indent=2) + "\n").encode())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Display:
    """Says on stderr what is being downloaded, and shows a bar on a terminal."""

    def __init__(self, model: PublishedModel) -> None:
        self.model = model
        console = Console(stderr=True)
        self.bar = Progress(console=console, disable=not console.is_terminal)
        self.task: TaskID | None = None

    def __enter__(self) -> _Display:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def update(self, done: int, total: int | None) -> None:
        """Called for every piece; the first one brings the size."""
        if self.task is None:
            size = "unknown size" if total is None else f"{total / 1e6:.1f} MB"
            licence = f"licence {self.model.licence} (the weights' own, not that of this package)"
            print(f"downloading {self.model.url} ({size}), {licence}", file=sys.stderr)
            self.task = self.bar.add_task(self.model.name, total=total)
        self.bar.update(self.task, completed=done, total=total)
