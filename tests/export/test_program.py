"""The transform as programs: each gives what the transform gives, for any batch."""

import importlib.util

import pytest
import torch

from infaug.config import EstimatorConfig, TransformConfig
from infaug.estimate.learned_transform import build_transform
from infaug.export import program

needs_onnx = pytest.mark.skipif(
    any(not importlib.util.find_spec(p) for p in ("onnx", "onnxruntime", "onnxscript")),
    reason="needs the extra onnx: pip install 'infaug[onnx]'",
)


def transform_of(channels: int = 1, pooling="local"):
    config = TransformConfig(tau_size=8, pooling=pooling)
    return build_transform(config, channels, 16, 16, 0).eval().requires_grad_(False)


def test_torch_export_equals_the_transform(tmp_path):
    transform, estimator = transform_of(), EstimatorConfig(tau_dropout=0.5)
    about = program.write_program(transform, estimator, tmp_path / "a.pt2")
    assert about["max_difference"] <= 1e-6
    assert "mask" in about["inputs"]
    again = torch.export.load(tmp_path / "a.pt2").module()
    for batch in (1, 7, 65):
        inputs = program.inputs_of(transform, estimator, batch)
        torch.testing.assert_close(again(**inputs), transform(**inputs))


def test_a_program_that_differs_is_not_kept(tmp_path, monkeypatch):
    transform, estimator = transform_of(), EstimatorConfig()
    monkeypatch.setattr(program, "traced", lambda *_: program_of_zeros(transform))
    with pytest.raises(ValueError, match="differs from the transform"):
        program.write_program(transform, estimator, tmp_path / "a.pt2")
    assert not (tmp_path / "a.pt2").exists()


def program_of_zeros(transform):
    class Zeros(torch.nn.Module):
        def forward(self, x, noise):
            return x * 0 + noise.mean() * 0

    inputs = program.inputs_of(transform, EstimatorConfig(), 3)
    batch = torch.export.Dim("batch", min=1)
    shapes = {name: {0: batch} for name in inputs}
    return torch.export.export(Zeros(), (), inputs, dynamic_shapes=shapes)


@needs_onnx
@pytest.mark.parametrize("pooling", ["global", "local"])
def test_onnx_equals_the_transform(tmp_path, pooling):
    about = program.write_onnx(
        transform_of(3, pooling), EstimatorConfig(), tmp_path / "a.onnx"
    )
    assert about["max_difference"] <= 1e-4


def test_without_the_extra_onnx_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(program, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'infaug\[onnx\]'"):
        program.check_onnx()
