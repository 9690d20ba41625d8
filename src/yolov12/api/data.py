"""What a data set is like, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from yolov12.config.parse import resolve
from yolov12.config.run import CheckConfig
from yolov12.data.dataset import load_index, read_data_config
from yolov12.data.index import DataReport
from yolov12.data.label_formats import check_format
from yolov12.data.synthetic import write_synthetic as write_synthetic
from yolov12.errors import DataError


def check_data(data: str | Path, **options: Any) -> Iterator[DataReport]:
    """What is found in every split of a data set, read as training would; a split of no use is a finding, too."""
    config = resolve(CheckConfig, options).config
    described = read_data_config(data)
    check_format(config.task, described.format, described.path)
    for split in described.splits:
        try:
            index = load_index(described, split, task=config.task, on_bad_label="skip", max_pixels=config.max_pixels)
        except DataError as error:
            report = DataReport(split)
            report.bad_image(str(error))
        else:
            report = index.report
        yield report
