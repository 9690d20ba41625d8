"""The convolution unit and the folding of its norm."""

from __future__ import annotations

import pytest
import torch

from yolov12.models.layers import ConvNormAct, DepthwiseConv, fold_batch_norm


def _trained(unit: ConvNormAct) -> ConvNormAct:
    """Give the norm statistics and gains that a fold can get wrong."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in unit.norm.state_dict().items():
        if tensor.is_floating_point():
            shift = 1.0 if name in ("weight", "running_var") else 0.0
            tensor.copy_(shift + 0.3 * torch.rand(tensor.shape, generator=generator))
    return unit.eval()


@pytest.mark.parametrize(
    ("unit", "shape"),
    [
        (ConvNormAct(4, 6), (2, 6, 8, 10)),
        (ConvNormAct(4, 6, 3, stride=2), (2, 6, 4, 5)),
        (ConvNormAct(4, 6, 3, groups=2, activation=False), (2, 6, 8, 10)),
        (DepthwiseConv(4, 7, activation=False, bias=True), (2, 4, 8, 10)),
        (DepthwiseConv(4, 5), (2, 4, 8, 10)),
    ],
)
def test_fold_is_the_same_function(unit: ConvNormAct, shape: tuple[int, ...]) -> None:
    features = torch.randn(2, 4, 8, 10, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = _trained(unit)(features)
        fold_batch_norm(unit)
        folded = unit(features)
        fold_batch_norm(unit)  # a second time changes nothing
        torch.testing.assert_close(unit(features), folded, rtol=0, atol=0)
    assert expected.shape == shape
    torch.testing.assert_close(folded, expected, rtol=1e-5, atol=1e-5)
    assert not any("norm" in name for name in unit.state_dict())


def test_constants_of_the_norm() -> None:
    norm = ConvNormAct(4, 6).norm
    assert (norm.eps, norm.momentum) == (1e-3, 0.03)


@pytest.mark.parametrize("gradient", [True, False])
def test_the_input_is_never_written(gradient: bool) -> None:
    """The activation works in place in inference: on the unit's own result only."""
    unit, features = _trained(ConvNormAct(4, 4)), torch.randn(1, 4, 8, 8)
    before = features.clone()
    with torch.set_grad_enabled(gradient):
        unit(features)
        fold_batch_norm(unit)
        unit(features)
    assert torch.equal(features, before)
