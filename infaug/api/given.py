"""What is given in Python, kept in the run's folder: images as Parquet, a module.

So the run is one on files like any other: it can be continued, and every command works
on it when this process is gone.

RUN/given/data/*.parquet      images and labels; see `images`
RUN/given/model.json          a module's structure, for a later call to be compared with
RUN/given/model.safetensors   its weights when the run began: every method begins there
"""

import copy
import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from infaug.classify.given import Given, find_head
from infaug.config import DataConfig
from infaug.data.decode import Decoder
from infaug.data.digits import digits
from infaug.data.listing import listed
from infaug.record.atomic import write_json, write_tensors

SHOWN_TO_IT = 2  # images, for the head to be found


def keep_model(
    model: nn.Module, head: str | None, data: DataConfig, folder: Path
) -> Given:
    """The module with the weights that the run began with."""
    shape = image_shape(data)
    found = find_head(model, torch.rand(SHOWN_TO_IT, *shape), head)
    about = {"head": found, "image shape": list(shape), **describe(model)}
    path = folder / "model.json"
    if path.exists():
        began = json.loads(path.read_text())
        changed = [key for key in about if began.get(key) != about[key]]
        if changed:
            raise ValueError(
                f"{folder.parent} holds a run of another model ({_told(began, about)}):"
                " give that one to continue it, or another `out`"
            )
        model = copy.deepcopy(model)
        model.load_state_dict(load_file(folder / "model.safetensors"))
    else:
        write_tensors(folder / "model.safetensors", model.state_dict())
        write_json(path, about)
    return Given(model, found)


def describe(model: nn.Module) -> dict[str, Any]:
    """What tells a module from others: not its weights, but what they belong to."""
    digest = blake2b(digest_size=16)
    digest.update(repr(model).encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
    return {
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "parameters": sum(p.numel() for p in model.parameters()),
        "fingerprint": digest.hexdigest(),
    }


def image_shape(data: DataConfig) -> tuple[int, int, int]:
    """(C, H, W) of what F will see, from one image."""
    if data.source == "digits":
        mode = "RGB" if data.mode == "RGB" else "L"
        return digits(image_size=data.image_size or 16, mode=mode).image_shape
    for item in listed(data.source, data)["train"].items():
        decoder = Decoder(data)
        try:
            _, channels, height, width = decoder.read([item]).images.shape
        except ValueError:
            continue  # `load` tells of it, and how many there are.
        return channels, height, width
    raise ValueError(f"data.source {data.source!r} has no readable image")


def _told(began: dict[str, Any], now: dict[str, Any]) -> str:
    keys = [key for key in now if key != "fingerprint" and began.get(key) != now[key]]
    parts = [f"{key}: {began.get(key)} -> {now[key]}" for key in keys]
    return "; ".join(parts) or "its layers or their settings differ"
