"""What the README says is true: its commands parse, its program runs, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from yolov12 import EMBEDDED_MODELS, YOLO
from yolov12.cli.grammar import build_parser, join_verb
from yolov12.cli.main import main
from yolov12.cli.verbs import VERBS
from yolov12.loading import trained_size
from yolov12.samples import sample_images

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.ko.md")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(readme: str, language: str) -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf8")
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def commands(readme: str) -> list[list[str]]:
    """The words after `yolov12` of every command, up to a redirection or a comment."""
    lines = "\n".join(blocks(readme, "bash")).replace("\\\n", " ").splitlines()
    parts = [part.strip() for line in lines for part in line.split("&&")]
    ours = [part.split(">")[0] for part in parts if part.removeprefix(".venv/bin/").startswith("yolov12 ")]
    assert ours
    return [shlex.split(command, comments=True)[1:] for command in ours]


@pytest.mark.parametrize("readme", [*READMES, "docs/tasks.md", "docs/export.md", "docs/prediction.md"])
def test_commands_parse(readme: str) -> None:
    for words in commands(readme):
        known, unknown = build_parser(VERBS).parse_known_args(join_verb(words, VERBS))
        assert known.verb is not None
        assert unknown == []


def test_both_languages_show_the_same_commands() -> None:
    assert commands("README.md") == commands("README.ko.md")
    assert blocks("README.md", "python") == blocks("README.ko.md", "python")


@pytest.mark.parametrize("readme", READMES)
def test_links_exist(readme: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / readme).read_text(encoding="utf8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("readme", READMES)
def test_the_first_commands_output(
    readme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is shown, but for the numbers that time makes and the folder that the package is in."""
    monkeypatch.chdir(tmp_path)
    assert main(["predict"]) == 0
    printed = capsys.readouterr()

    def general(text: str) -> list[str]:
        text = re.sub(r"^.*/samples/", "", text, flags=re.MULTILINE)
        return sorted(re.sub(r"[\d.]+ (ms|images/s)", r"N \1", text).splitlines())

    (shown,) = re.findall(r"```\n(imgsz .*?)```", (ROOT / readme).read_text(encoding="utf8"), re.DOTALL)
    assert general(shown) == general(printed.out + printed.err)


@pytest.mark.parametrize("name", EMBEDDED_MODELS)
def test_every_embedded_model_finds_something_in_its_samples(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = [] if name == "yolov12n-bccd" else ["--model", name]
    assert ["predict", *shown] in commands("README.md")
    assert main(["predict", "--model", name]) == 0
    model = YOLO(name)
    results = model(sample_images(model.task), imgsz=trained_size(model.metadata), verbose=False)
    assert all(result.probs is not None or len(result) for result in results)
    (folder,) = (tmp_path / "runs" / model.task).iterdir()
    assert len(list(folder.glob("*.jpg"))) == len(results) >= 3
    assert (ROOT / f"docs/models/{name}.md").exists()


def test_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    samples = ROOT / "src/yolov12/assets/samples/detect"
    (tmp_path / "images").symlink_to(samples)
    monkeypatch.chdir(tmp_path)
    (program,) = blocks("README.md", "python")
    exec(compile(program, "README.md", "exec"), {})
    printed = capsys.readouterr()
    assert "WBC" in printed.out
    assert "note: " not in printed.err
    assert len(list(tmp_path.glob("*_detected.jpg"))) == len(list(samples.glob("*.jpg")))
