"""The facade: the model object, and the verbs that are about several models, or about none. `cli` calls only this."""

from yolov12.api.compare import compare_models
from yolov12.api.convert import convert_model
from yolov12.api.data import check_data
from yolov12.api.model import YOLO
from yolov12.data.synthetic import write_synthetic
from yolov12.engine.trace_plot import draw_trace
from yolov12.loading import sample_images

__all__ = [
    "YOLO",
    "check_data",
    "compare_models",
    "convert_model",
    "draw_trace",
    "sample_images",
    "write_synthetic",
]
