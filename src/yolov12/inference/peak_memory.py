"""How much memory one forward pass of a network needs: its weights and the most activations that live at once.

Counted from the tensors themselves, by watching every operation, so the number is the same on every machine and says
nothing of what an allocator keeps for later or a kernel needs inside.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the storages that operations make while they live."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive = 0
        self.peak = 0
        self._known = known

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        address = storage._cdata
        if address in self._known:  # a view of something that is counted already
            return
        self._known.add(address)
        self.alive += storage.nbytes()
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._forget, address, storage.nbytes())

    def _forget(self, address: int, size: int) -> None:
        self._known.discard(address)
        self.alive -= size


def network_bytes(model: nn.Module, images: Tensor) -> int:
    """Bytes of the model's weights plus the largest sum of activations during one forward pass of `images`."""
    weights = list(model.parameters()) + list(model.buffers())
    with torch.inference_mode(), _Watch({tensor.untyped_storage()._cdata for tensor in weights}) as watch:
        model(images)
    size: int = sum(tensor.nbytes for tensor in weights) + watch.peak
    return size
