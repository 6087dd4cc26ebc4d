"""E and G as programs that run without infaug: torch.export and ONNX.

Both are `LearnedTransform` at the trained size with a free batch: inputs are `x`,
images in [0, 1], and `noise`, standard normal numbers times `estimator.tau_noise`, so
equal inputs give equal images. Where E learned with dropout of tau, `mask` is a third.
The strength and probability of `LearnedAugment` are not part of them.
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram, export

from infaug.config import EstimatorConfig
from infaug.estimate.learned_transform import LearnedTransform, draw_view
from infaug.randomness import RandomNumbers

TOLERANCE = 1e-4
OPSET = 20  # the first whose GridSample is stable; 16 called the modes otherwise
PROGRAM = "augment.pt2"
ONNX = "augment.onnx"
BATCHES = (1, 5)


def write_program(
    transform: LearnedTransform, estimator: EstimatorConfig, path: Path
) -> dict[str, Any]:
    """Write the torch.export program, read it back, and compare.

    Raises:
        ValueError: if it differs from the transform by more than `TOLERANCE`.
    """
    torch.export.save(traced(transform, estimator), path)
    again = torch.export.load(path).module()
    return _about(path, transform, estimator, lambda inputs: again(**inputs))


def write_onnx(
    transform: LearnedTransform, estimator: EstimatorConfig, path: Path
) -> dict[str, Any]:
    """Write ONNX, run it by onnxruntime, and compare; `check_onnx` comes first.

    Raises:
        ValueError: if the two differ by more than `TOLERANCE`.
    """
    import onnxruntime  # pyright: ignore[reportMissingImports]

    program = traced(transform, estimator)
    names = list(inputs_of(transform, estimator, 1))
    torch.onnx.export(
        program,
        f=path,
        input_names=names,
        output_names=["x_aug"],
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    options = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(str(path), providers=options)

    def run(inputs: Mapping[str, Tensor]) -> Tensor:
        arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
        return torch.from_numpy(session.run(None, arrays)[0])

    return _about(path, transform, estimator, run) | {"opset": OPSET}


def check_onnx() -> None:
    """See that ONNX can be written and run here.

    Raises:
        ValueError: if a package is missing.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(name) is None:
            raise ValueError(f"--formats onnx needs {name}: pip install 'infaug[onnx]'")


def traced(transform: LearnedTransform, estimator: EstimatorConfig) -> ExportedProgram:
    """The program, for batches of any size."""
    inputs = inputs_of(transform, estimator, 3)
    batch = Dim("batch", min=1)
    shapes = {name: {0: batch} for name in inputs}
    return export(transform, (), dict(inputs), dynamic_shapes=shapes)


def inputs_of(
    transform: LearnedTransform, estimator: EstimatorConfig, num: int
) -> dict[str, Tensor]:
    """Inputs to try a program on: random images, and what is drawn for them."""
    channels, (height, width) = transform.generator.channels, transform.generator.size
    rng = RandomNumbers.of_size(num, "program")
    drawn = draw_view(estimator, transform.config.tau_size, 1.0, rng)
    x = rng.fork("x").uniform(0, 1, channels, height, width)
    inputs = {"x": x, "noise": drawn.noise}
    return inputs if drawn.mask is None else inputs | {"mask": drawn.mask}


@torch.no_grad()
def _about(
    path: Path,
    transform: LearnedTransform,
    estimator: EstimatorConfig,
    run: Callable[[Mapping[str, Tensor]], Tensor],
) -> dict[str, Any]:
    """Inputs of a program, and the largest difference over a few batches."""
    worst = 0.0
    for num in BATCHES:
        inputs = inputs_of(transform, estimator, num)
        worst = max(worst, float((run(inputs) - transform(**inputs)).abs().max()))
    if not worst <= TOLERANCE:
        path.unlink()
        raise ValueError(
            f"{path.name} differs from the transform by {worst:.1e}, more than "
            f"{TOLERANCE:.0e}, and was not kept: leave it out of --formats, and report "
            "it with the versions of torch and onnx"
        )
    inputs = inputs_of(transform, estimator, 1)
    shapes = {name: ["batch", *tensor.shape[1:]] for name, tensor in inputs.items()}
    return {"inputs": shapes, "output": "x_aug", "max_difference": worst}
