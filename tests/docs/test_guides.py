"""The guides' programs run as they stand, and both languages show the same."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from yolov12.config.backbones import BACKBONE_CONFIGS
from yolov12.config.heads import HEAD_CONFIGS
from yolov12.config.necks import NECK_CONFIGS
from yolov12.config.variants import FAMILIES, Variant, model_config, usual_size
from yolov12.data.synthetic import write_synthetic
from yolov12.loading import read_design_file
from yolov12.models.detector import Detector
from yolov12.models.profile import profile

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(name: str, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall((DOCS / name).read_text(encoding="utf8")) if kind == language]


def test_a_new_backbone_is_one_new_file(tmp_path: Path) -> None:
    """The guide's two programs, one in a file of its own, as a user would run them."""
    part, use = blocks("own-backbone.md", "python")
    code = [line for line in part.splitlines() if line and not line.startswith(('"""', "#"))]
    assert len(code) <= 40
    (tmp_path / "my_backbone.py").write_text(part, encoding="utf8")
    (tmp_path / "use.py").write_text(use, encoding="utf8")
    write_synthetic(tmp_path / "shapes", train=16, val=8, size=64)
    done = subprocess.run([sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    again = subprocess.run([sys.executable, "-m", "yolov12", "info", *map(str, tmp_path.rglob("last.safetensors"))],
                           capture_output=True, text=True)  # fmt: skip
    assert again.returncode == 2
    assert "'plain'" in again.stderr
    assert "import" in again.stderr
    (command,) = blocks("own-backbone.md", "bash")
    shell = command.replace("python ", f"{shlex.quote(sys.executable)} ", 1)
    shown = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "backbone.stages.0" in shown.stdout
    assert blocks("own-backbone.ko.md", "bash") == [command]


def test_both_languages_show_the_same_programs() -> None:
    assert blocks("own-backbone.md", "python") == blocks("own-backbone.ko.md", "python")


def test_every_part_is_described() -> None:
    text = (DOCS / "architectures.md").read_text(encoding="utf8")
    for kind in (*BACKBONE_CONFIGS, *NECK_CONFIGS, *HEAD_CONFIGS):
        assert f"`{kind}`" in text, kind


def test_the_yaml_of_the_guide(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(blocks("architectures.md", "yaml")[0], encoding="utf8")
    config = read_design_file(tmp_path / "mine.yaml")
    assert (config.backbone.kind, config.heads["detect"].kind) == ("hybrid", "anchor")


def test_the_python_of_the_guide(tmp_path: Path) -> None:
    exec(compile(blocks("architectures.md", "python")[0], "architectures.md", "exec"), {})


@pytest.mark.parametrize("family", ["yolov12-hybrid", "yolov12-transformer"])
def test_the_table_of_presets(family: str) -> None:
    text = (DOCS / "architectures.md").read_text(encoding="utf8")
    for scale in FAMILIES[family].scales:
        name = Variant(family, scale, "detect").name
        with torch.device("meta"):
            counted = profile(Detector(model_config(name)), 64).parameters / 1e6
        assert f"| `{name}` | {counted:.1f} M | {usual_size(name, 'detect')} |" in text
