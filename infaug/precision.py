"""In what number format networks run, and on which device."""

import torch

from infaug.config import ClassifierConfig

# Networks of depthwise convolutions, which CPUs compute more slowly in bfloat16: a step
# of efficientnet_lite0 took 1.04 s, in float32 0.59 s.
DEPTHWISE = ("efficientnet", "mobilenet")


def pick_device() -> torch.device:
    """This process's GPU if there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself (benchmarks/precision.py)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def resolve_precision(config: ClassifierConfig, device: torch.device) -> str:
    """`bfloat16` or `float32`, with `auto` resolved by the hardware."""
    if config.precision != "auto":
        return config.precision
    if device.type == "cpu" and any(kind in config.network for kind in DEPTHWISE):
        return "float32"
    return "bfloat16" if has_fast_bfloat16(device) else "float32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Run matrix products and convolutions inside in `precision`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def dtype_of(precision: str) -> torch.dtype:
    """The type weights and images are kept in."""
    return torch.float64 if precision == "float64" else torch.float32
