"""From what a user calls a device to a torch device that is there."""

from __future__ import annotations

import torch

from yolov12.errors import ConfigError, SetupError


def resolve_device(name: str) -> torch.device:
    """'auto' (GPU when there is one), 'cpu', 'cuda', 'cuda:1', 'mps' or a GPU number.

    Raises ConfigError for something else, SetupError when this machine does not have the device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    text = f"cuda:{name}" if name.isdecimal() else name
    try:
        device = torch.device(text)
    except RuntimeError:
        raise ConfigError(f"--device {name!r}: expected auto, cpu, cuda, cuda:N, mps or a GPU number") from None
    if device.type == "cpu":
        return device
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if count <= (device.index or 0):
            raise SetupError(
                f"--device {name!r}: this machine has {count} CUDA devices visible to torch; use --device cpu"
            )
        return device
    if device.type == "mps" and torch.backends.mps.is_available():
        return device
    raise SetupError(f"--device {name!r}: not available on this machine; use --device cpu")
