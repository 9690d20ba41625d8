"""What the verbs leave behind: files of results, and lines on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from yolov12.config.run import PredictConfig
from yolov12.data.index import ImageIndex
from yolov12.folders import new_run_folder, write_json
from yolov12.results import Result
from yolov12.visualize import save_result


def written(results: Iterator[Result], config: PredictConfig, task: str) -> Iterator[Result]:
    """Pass results on; save and show them on the way where asked."""
    if not (config.save or config.save_txt or config.show):
        yield from results
        return
    folder: Path | None = None
    counts = {"read": 0, "skipped": 0}
    reasons: list[str] = []
    try:
        for result in results:
            if folder is None and (config.save or config.save_txt):  # not before: a refused source leaves no trace
                folder = new_run_folder(task, config.project, config.name, exist_ok=config.exist_ok)
            counts["skipped" if result.error else "read"] += 1
            if result.error:
                reasons.append(result.error)
            elif folder is not None:
                save_result(result, folder, image=config.save, labels=config.save_txt, scores=config.save_conf)
            if config.show and not result.error:
                result.show(wait_ms=0 if result.frame is None else 1)
            yield result
    finally:  # also when the receiver of a stream has seen enough
        if folder is not None:
            write_json(folder / "report.json", {**counts, "reasons": reasons[:20]})
            if config.verbose:
                print(f"results: {folder}", file=sys.stderr)


def say(index: ImageIndex) -> None:
    """Print the size of a split and what was found in it."""
    print(index.report.summary(), file=sys.stderr)
    for warning in index.report.warnings:
        print(f"warning: {warning}", file=sys.stderr)
