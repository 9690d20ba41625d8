"""What commands print, and the exit code that a report gives."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def print_json(values: Mapping[str, Any]) -> None:
    """One line of JSON, with its own escapes for what stdout cannot encode."""
    unicode = (sys.stdout.encoding or "utf8").lower().startswith("utf")  # None: a stream of text in memory
    print(json.dumps(values, ensure_ascii=not unicode, allow_nan=False), flush=True)


def left_out(folder: Path | None) -> int:
    """Exit code 1 when the report in a run's folder counts inputs that were left out, else 0."""
    if folder is None:
        return 0
    splits = json.loads((folder / "report.json").read_text(encoding="utf8")).values()
    return int(any(split["skipped"] or split["rows_skipped"] for split in splits))
