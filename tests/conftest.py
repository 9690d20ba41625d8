"""Fixtures that every test may use: the optional reference material next to the repository, and hostile samples."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: workers must not take each other's cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every cache of the package goes into the test session's own folder."""
    os.environ["YOLOV12_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["YOLOV12_TUNING"] = "off"  # nothing is measured beside the tests


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference material (golden numbers, real images, genuine checkpoints); a stranger's clone has none."""
    if not SHARED.is_dir():
        pytest.skip(f"reference material is not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """Golden numbers of the published models."""
    return shared / "spec" / "golden"


@pytest.fixture(scope="session")
def bccd(shared: Path) -> Path:
    """The blood-cell data set: 364 real images."""
    return shared / "data" / "bccd"


@pytest.fixture(scope="session")
def bccd_yaml(bccd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data YAML for the blood-cell set, outside of it."""
    path = tmp_path_factory.mktemp("bccd") / "bccd.yaml"
    splits = "\n".join(f"{key}: ImageSets/Main/{name}.txt" for key, name in BCCD_SPLITS.items())
    path.write_text(f"path: {bccd}\nformat: voc\n{splits}\nnames: [RBC, WBC, Platelets]\n", encoding="utf8")
    return path


BCCD_SPLITS = {"train": "trainval", "val": "test", "test": "test"}


@pytest.fixture(scope="session")
def hostile(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`hostile("gen_images.py")` generates that family of hostile samples once and returns its folder."""
    made: dict[str, Path] = {}

    def make(generator: str) -> Path:
        if generator not in made:
            folder = tmp_path_factory.mktemp(generator.removesuffix(".py"))
            environment = {**os.environ, "FUZZ_N": "50", "HOSTILE_MARKER_DIR": str(folder / "markers")}
            (folder / "markers").mkdir()
            command = [sys.executable, str(shared / "hostile" / generator), str(folder / "samples")]
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
            made[generator] = folder
        return made[generator] / "samples"

    return make
