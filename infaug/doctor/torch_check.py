"""torch, its GPUs and torchvision, from what the probe says."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infaug.doctor.finding import Finding, judge, mention

DRIVER = Path("/proc/driver/nvidia/version")


def judge_torch(probe: Mapping[str, Any]) -> list[Finding]:
    """Findings; one only if torch itself cannot be imported."""
    again = "pip install --force-reinstall torch torchvision"
    if "is_late" in probe:
        remedy = (
            "the machine is busy, or its GPU driver hangs (does nvidia-smi answer?): "
            "again with --patience-s 60"
        )
        return [mention("torch", False, probe["error"], remedy)]
    if "torch" not in probe:
        return [judge("torch", False, f"fails: {probe.get('error')}", again)]
    return [
        judge("torch", True, probe["torch"], ""),
        _judge_gpus(probe),
        judge(
            "torchvision",
            not probe["vision_error"],
            f"{probe.get('torchvision', 'cannot be imported')}"
            + (f": {probe['vision_error']}" if probe["vision_error"] else ""),
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
        return judge(name, True, found, "")
    if not has_driver():
        return judge(name, True, "none: runs train on the CPU", "")
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
