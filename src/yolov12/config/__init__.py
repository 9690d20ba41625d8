"""Configuration as frozen dataclasses. Nothing in this package imports torch, so `yolov12 --help` is instant."""
