"""What a model argument resolves to, and the cache of downloaded models."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from model_factory import official_state, tiny_file
from yolov12 import hub
from yolov12.checkpoint import read_model_file
from yolov12.download import DownloadPolicy, Progress
from yolov12.errors import CheckpointError, ConfigError, SetupError
from yolov12.folders import CACHE_VARIABLE


class Network:
    """Stands in for the network: serves bytes by URL and counts what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    def download(self, url: str, target: Path, policy: DownloadPolicy, progress: Progress) -> None:
        self.asked.append(url)
        if url not in self.files:
            raise SetupError(f"{url}: the server answered 404 Not Found")
        progress(0, len(self.files[url]))
        target.write_bytes(self.files[url])


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Network:
    fake = Network()
    monkeypatch.setattr(hub, "download", fake.download)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(hub.OFFLINE_VARIABLE, raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for tag in ("turbo", "v1.0"):
        fake.files[f"{hub.RELEASES}/{tag}/yolov12n.pt"] = f"weights of {tag}".encode()
    return fake


@pytest.mark.parametrize("name", ["yolov12n", "yolo12n", "yolov12n.pt", "yolo12n.pt"])
@pytest.mark.parametrize(("layout", "tag"), [("turbo", "turbo"), ("v1.0", "v1.0"), ("v1", "v1.0")])
def test_a_published_name_is_downloaded_once(network: Network, name: str, layout: str, tag: str) -> None:
    first = hub.resolve_model(name, layout=layout)
    assert first.read_text() == f"weights of {tag}"
    assert hub.resolve_model(name, layout=layout, offline=True) == first
    assert network.asked == [f"https://github.com/sunsmarterjie/yolov12/releases/download/{tag}/yolov12n.pt"]


@pytest.mark.parametrize(("suffix", "tag"), [("-seg", "seg"), ("-cls", "cls")])
@pytest.mark.parametrize("name", ["yolov12n{}", "yolo12n{}.pt"])
def test_other_tasks_have_releases_of_their_own(network: Network, name: str, suffix: str, tag: str) -> None:
    url = f"https://github.com/sunsmarterjie/yolov12/releases/download/{tag}/yolov12n{suffix}.pt"
    network.files[url] = b"weights of another task"
    first = hub.resolve_model(name.format(suffix))
    assert first.read_bytes() == b"weights of another task"
    assert first.parts[-2:] == (tag, f"yolov12n{suffix}.pt")
    assert hub.resolve_model(name.format(suffix), offline=True) == first
    assert network.asked == [url]


def test_every_published_file_has_a_url_of_its_own() -> None:
    files = [
        hub.published_model(name, layout) for name, layouts in hub._published_names().items() for layout in layouts
    ]
    assert len(files) == 20
    assert len({file.url for file in files}) == len({file.cached() for file in files}) == 20


def test_a_task_that_was_released_in_one_layout_is_not_looked_for_in_another(network: Network) -> None:
    with pytest.raises(ConfigError, match=r"segment weights were published in the layout turbo, not in v1\.0"):
        hub.resolve_model("yolov12n-seg", layout="v1.0")
    assert network.asked == []


def test_files_of_one_name_stay_apart(network: Network) -> None:
    turbo, paper = hub.resolve_model("yolov12n", layout="turbo"), hub.resolve_model("yolov12n", layout="v1.0")
    assert turbo.name == paper.name == "yolov12n.pt"
    assert turbo != paper
    assert turbo.read_text() != paper.read_text()


def test_url_size_and_licence_are_said_on_stderr(network: Network, capsys: pytest.CaptureFixture[str]) -> None:
    hub.resolve_model("yolov12n")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{hub.RELEASES}/turbo/yolov12n.pt" in captured.err
    assert "0.0 MB" in captured.err
    assert "AGPL-3.0" in captured.err


def test_the_checksum_is_recorded_and_checked_ever_after(network: Network) -> None:
    path = hub.resolve_model("yolov12n")
    record = json.loads(path.with_name("yolov12n.pt.json").read_text())
    assert re.fullmatch("[0-9a-f]{64}", record["sha256"])
    assert record["url"].endswith("/turbo/yolov12n.pt")
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(CheckpointError, match="changed since it was downloaded"):
        hub.resolve_model("yolov12n")


def test_a_second_download_must_equal_the_first(network: Network) -> None:
    path = hub.resolve_model("yolov12n")
    path.unlink()
    network.files[f"{hub.RELEASES}/turbo/yolov12n.pt"] = b"something else"
    with pytest.raises(CheckpointError, match="has changed since its first download"):
        hub.resolve_model("yolov12n")
    assert not path.exists()
    path.with_name("yolov12n.pt.json").unlink()
    assert hub.resolve_model("yolov12n").read_bytes() == b"something else"


def test_a_damaged_record_is_an_error_that_says_what_to_delete(network: Network) -> None:
    path = hub.resolve_model("yolov12n")
    path.with_name("yolov12n.pt.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"damaged record.*delete"):
        hub.resolve_model("yolov12n")


@pytest.mark.parametrize("value", ["1", "true", "YES"])
def test_offline_lists_what_works_without_a_network(
    network: Network, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(hub.OFFLINE_VARIABLE, value)
    for options in ({}, {"offline": True}):
        with pytest.raises(SetupError, match=r"offline run\. Embedded models: yolov12n-bccd"):
            hub.resolve_model("yolov12n", **options)
    assert network.asked == []


def test_what_the_caller_says_comes_before_the_environment(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(hub.OFFLINE_VARIABLE, "1")
    assert hub.resolve_model("yolov12n", offline=False).is_file()
    url = "https://example.org/a.jpg"
    hub.check_online(url, False)
    for source in (url, ["a.jpg", url], ("a.jpg", [url])):
        with pytest.raises(SetupError, match=r"a\.jpg: is not fetched in an offline run"):
            hub.check_online(source, None)
    for source in ("a.jpg", 0, ["a.jpg", 0], object()):
        hub.check_online(source, True)
    monkeypatch.delenv(hub.OFFLINE_VARIABLE)
    hub.check_online(url, None)


def test_a_failed_download_leaves_nothing_that_counts(network: Network, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="404"):
        hub.resolve_model("yolov12x")
    assert not list((tmp_path / "cache").rglob("*.pt"))


def test_a_path_comes_before_a_name(network: Network) -> None:
    Path("yolov12n.pt").write_bytes(b"mine")
    assert hub.resolve_model("yolov12n.pt") == Path("yolov12n.pt")
    assert network.asked == []


def test_a_missing_pt_beside_our_file_resolves_to_it_with_a_notice(
    network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path("runs/detect/train/weights")
    folder.mkdir(parents=True)
    (folder / "best.safetensors").write_bytes(b"")
    assert hub.resolve_model(folder / "best.pt") == folder / "best.safetensors"
    assert "best.pt does not exist; using" in capsys.readouterr().err
    (folder / "best.pt").write_bytes(b"")
    assert hub.resolve_model(str(folder / "best.pt")) == folder / "best.pt"


@pytest.mark.parametrize("name", ["yolov12n-bccd", "yolo12n-bccd", "yolov12n-bccd.pt", "yolov12n-bccd.safetensors"])
def test_embedded_models_need_no_network(
    network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(hub, "ASSETS", tmp_path)
    with pytest.raises(CheckpointError, match="no such embedded model"):
        hub.resolve_model(name)
    (tmp_path / "yolov12n-bccd.safetensors").write_bytes(b"")
    assert hub.resolve_model(name, offline=True) == tmp_path / "yolov12n-bccd.safetensors"
    assert network.asked == []


def test_several_models_may_be_embedded(network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "ASSETS", tmp_path)
    monkeypatch.setattr(hub, "EMBEDDED_MODELS", ("yolov12n-bccd", "yolov12n-cells-seg"))
    for name in hub.EMBEDDED_MODELS:
        (tmp_path / f"{name}.safetensors").write_bytes(name.encode())
        assert hub.resolve_model(name.replace("yolov12", "yolo12")).read_text() == name
    assert "yolov12n-bccd" in hub.describe_models()
    assert "yolov12n-cells-seg" in hub.describe_models()
    with pytest.raises(SetupError, match=r"Embedded models: yolov12n-bccd, yolov12n-cells-seg$"):
        hub.resolve_model("yolov12x", offline=True)
    assert network.asked == []


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("", CheckpointError, "name is empty"),
        (".", CheckpointError, r"\.: is a folder"),
        ("..", CheckpointError, r"\.\.: is a folder"),
        ("a\0b", CheckpointError, "neither a file nor a model name"),
        ("a" * 5000, CheckpointError, "neither a file nor a model name"),
        ("runs/best.pt", CheckpointError, "runs/best.pt: no such file"),
        ("missing.safetensors", CheckpointError, "missing.safetensors: no such file"),
        ("https://example.org/a.pt", CheckpointError, "a URL is not a model argument"),
        ("folder", CheckpointError, "is a folder"),
        ("folder/", CheckpointError, "is a folder"),
        ("a\nb/c.pt", CheckpointError, r"a\\nb/c\.pt: no such file"),
        ("resnet50", CheckpointError, "neither a file nor a model name"),
        ("bccd", CheckpointError, "neither a file nor a model name"),
        ("yolov12n-pose", ConfigError, "no pose weights were published; .* or yolov12n-pose.yaml for fresh weights"),
        ("yolo12x-obb.pt", ConfigError, "no obb weights were published"),
        ("yolov8n-seg", ConfigError, "only the weights of yolov12 are downloaded; .* or yolov8n-seg.yaml for fresh"),
        ("yolov12k-seg", ConfigError, "no scale 'k'"),
        ("yolov12n-sgg", CheckpointError, "Did you mean 'yolov12n-seg'"),
        ("yolov12n-bcd", CheckpointError, r"Did you mean 'yolov12n-bccd'\? Names: yolov12n-bccd, yolov12n-seg"),
        ("yolo12n-bcd.pt", CheckpointError, "Did you mean 'yolov12n-bccd'"),
        ("yolov12nn", CheckpointError, "Did you mean 'yolov12n'"),
        ("yolo11n", ConfigError, "only the weights of yolov12 are downloaded; .* or yolo11n.yaml for fresh weights"),
        ("yolov8n.pt", ConfigError, "only the weights of yolov12 are downloaded"),
        ("yolov12z", ConfigError, "z"),
        ("yolov12", ConfigError, "scale"),
    ],
)
def test_what_is_neither_file_nor_name_is_refused(
    network: Network, name: str, error: type[Exception], message: str
) -> None:
    Path("folder").mkdir()
    with pytest.raises(error, match=message):
        hub.resolve_model(name)
    assert network.asked == []


def test_an_unknown_layout_is_refused(network: Network) -> None:
    with pytest.raises(ConfigError, match="layout 'v3'"):
        hub.resolve_model("yolov12n", layout="v3")


def test_a_downloaded_model_is_read_like_any_other(network: Network, tmp_path: Path) -> None:
    torch.save(official_state(tiny_file("v1.0")), tmp_path / "published.pt")
    network.files[f"{hub.RELEASES}/v1.0/yolov12n.pt"] = (tmp_path / "published.pt").read_bytes()
    assert read_model_file(hub.resolve_model("yolov12n", layout="v1.0")).config.layout == "v1.0"


def test_the_list_of_models_says_what_is_here(network: Network) -> None:
    hub.resolve_model("yolov12n", layout="v1.0")
    lines = hub.describe_models().splitlines()
    assert any("yolov12n-bccd" in line for line in lines)
    row = next(line for line in lines if line.split()[:1] == ["yolov12n"])
    assert row.split() == ["yolov12n", "turbo:", "not", "downloaded", "v1.0:", "downloaded"]
    row = next(line for line in lines if line.split()[:1] == ["yolov12x-cls"])
    assert row.split() == ["yolov12x-cls", "cls:", "not", "downloaded"]
    assert "AGPL-3.0" in hub.describe_models()
    assert len(network.asked) == 1


def test_the_policy_allows_the_published_places_only() -> None:
    for tag in ("turbo", "v1.0"):
        hub.PUBLISHED_POLICY.check(hub.published_model("yolov12x", tag).url)
    hub.PUBLISHED_POLICY.check(hub.published_model("yolov12x-seg", "turbo").url)
    hub.PUBLISHED_POLICY.check("https://release-assets.githubusercontent.com/github-production-release-asset/1")
    bad: Any
    for bad in ("https://example.org/yolov12n.pt", "http://github.com/yolov12n.pt"):
        with pytest.raises(SetupError):
            hub.PUBLISHED_POLICY.check(bad)
