"""torch, its GPUs and torchvision.

python -m infaug.doctor.torch_check     # JSON: does torch work, and with it the rest?
"""

import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infaug.doctor.machine import Finding, judge

DRIVER = Path("/proc/driver/nvidia/version")


def judge_torch(probe: Mapping[str, Any]) -> list[Finding]:
    """Findings; one only if torch itself cannot be imported."""
    again = "pip install --force-reinstall torch torchvision"
    if "is_late" in probe:
        remedy = (
            "the machine is busy, or its GPU driver hangs (does nvidia-smi answer?): "
            "again with --wait-s 60"
        )
        return [judge("torch", False, probe["error"], remedy, "note")]
    if "torch" not in probe:
        return [judge("torch", False, f"fails: {probe.get('error')}", again)]
    return [
        judge("torch", True, probe["torch"]),
        _judge_gpus(probe),
        judge(
            "torchvision",
            not probe["vision_error"],
            probe["vision_error"] or probe["torchvision"],
            f"it must be the one built for torch {probe['torch']}: {again}",
        ),
    ]


def has_driver() -> bool:
    """Whether there is a GPU of NVIDIA that programs could use."""
    return DRIVER.exists() or shutil.which("nvidia-smi") is not None


def _judge_gpus(probe: Mapping[str, Any]) -> Finding:
    name, errors = "gpu", probe["device_errors"]
    if errors:
        remedy = (
            f"this torch (CUDA {probe['built_for_cuda']}) cannot compute on it: "
            "install the build for your GPU from "
            "https://pytorch.org/get-started/locally, or hide it with "
            "CUDA_VISIBLE_DEVICES="
        )
        return judge(name, False, errors[0], remedy)
    if probe["devices"]:
        found = f"{', '.join(probe['devices'])}; CUDA {probe['built_for_cuda']}"
        return judge(name, True, found)
    if not has_driver():
        return judge(name, True, "none: runs train on the CPU")
    if probe["built_for_cuda"] is None:
        found = "there is a driver, and torch was built without CUDA"
        remedy = "install the CUDA build: https://pytorch.org/get-started/locally"
        return judge(name, False, found, remedy)
    why = next((w for w in probe["warnings"] if "CUDA" in w), "torch sees no GPU")
    remedy = (
        f"update the NVIDIA driver for CUDA {probe['built_for_cuda']}, or install a "
        "torch for the driver you have; in a container pass the GPU in (--gpus all)"
    )
    return judge(name, False, why, remedy)


def look() -> dict[str, Any]:
    """Versions, devices on which a product of matrices works, and what went wrong."""
    found: dict[str, Any] = {"devices": [], "device_errors": [], "vision_error": ""}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import torch

        found |= {"torch": torch.__version__, "built_for_cuda": torch.version.cuda}
        is_available = torch.cuda.is_available()
        for number in range(torch.cuda.device_count() if is_available else 0):
            try:
                ones = torch.ones(8, 8, device=f"cuda:{number}")
                assert float((ones @ ones).sum()) == 512
                found["devices"].append(torch.cuda.get_device_name(number))
            except (RuntimeError, AssertionError) as error:
                found["device_errors"].append(str(error).splitlines()[0])
        try:
            import torchvision

            found["torchvision"] = torchvision.__version__
            boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
            torchvision.ops.nms(boxes, torch.ones(1), 0.5)
        except (ImportError, RuntimeError, AttributeError, OSError) as error:
            found["vision_error"] = str(error).splitlines()[0]
    found["warnings"] = [str(each.message).splitlines()[0] for each in caught]
    return found


if __name__ == "__main__":
    print(json.dumps(look()))
