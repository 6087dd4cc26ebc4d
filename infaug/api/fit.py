"""`infaug.fit`: a model and images in, a verdict and what was learned out.

What is given in Python is kept in the run's folder. So the run is one on files like any
other: it can be continued, and every command works on it when this process is gone.

RUN/given/data/*.parquet      images and labels; see `images`
RUN/given/model.json          a module's structure, for a later call to be compared with
RUN/given/model.safetensors   its weights when the run began: every method begins there
"""

import copy
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from infaug.api.images import keep_images
from infaug.api.result import Result, result_of
from infaug.classify.given import Given, find_head, offered
from infaug.classify.named import name_network
from infaug.config import DataConfig, Network, RunConfig, changed, in_mode
from infaug.data.decode import Decoder
from infaug.data.digits import digits
from infaug.data.listing import listed
from infaug.experiment.plan import begin_data
from infaug.experiment.run import run
from infaug.record.atomic import write_json, write_tensors
from infaug.record.folder import RunFolder


def fit(
    model: nn.Module | Network | None,
    train: Any,
    target: Any = None,
    *,
    out: str | os.PathLike[str],
    test: Any = None,
    head: str | None = None,
    shown: bool = True,
    **settings: Any,
) -> Result:
    """Learn an augmentation for a model, compare it with controls, give a verdict.

    The same call again continues an interrupted run, and of a finished one it returns
    the result. The model given is not changed: every method begins with its weights.

    Args:
        model: a module from images to logits whose last linear layer makes these;
            normalisation by the training images is put before it. Or the name of a
            network, as --network takes it, or None: one for the size of the images.
        train: labelled images: a path, as `infaug fit --data` takes it; a data set with
            a length that yields (image, label), such as torchvision's, without random
            transforms or Normalize; or tensors (images, labels): [N, C, H, W], uint8 or
            float in [0, 1], and class numbers.
        target: a few labelled images of where the model will be used, likewise: they
            drive the influence, choose, and are judged. None: those of `train` do so in
            turn, or, where there is a test split, some of them are held out.
        out: folder of the run; new, empty, or that of this very call.
        test: a test split that goes with `train`, if that is not a path.
        head: name of the model's last linear layer, or of a part that holds it; None:
            it is found.
        shown: whether progress is printed.
        **settings: fields of `infaug.config.RunConfig`, each as it is or as a
            dictionary: `seeds=1`, `rounds={"rounds": 10}`; or dotted names in a
            dictionary: `**{"data.image_size": 64}`.

    Raises:
        ValueError: for images, models or settings that cannot work, or that are not
            those the run began with.
    """
    config = _requested(settings, model)
    folder = RunFolder(os.fspath(out))
    if folder.mirror:
        raise ValueError("out must be a folder of this machine; upload it afterwards")
    folder = RunFolder(folder.path.absolute())
    kept = folder.path / "given"
    source = _place(train, kept / "data")
    used = _place(target, kept / "target") if target is not None else None
    data = replace(config.data, source=source, target_source=used)
    config = replace(config, data=data)
    folder.enter(config)
    with folder.locked():
        if not folder.is_resolved:
            shutil.rmtree(kept, ignore_errors=True)  # of a call that came to nothing
        _keep(train, kept / "data" / "train.parquet", "train")
        if test is not None:
            _keep_test(train, test, kept)
        if target is not None:
            _keep(target, kept / "target" / "train.parquet", "target")
        given = None
        if isinstance(model, nn.Module):
            resolved, _ = begin_data(config, folder)
            kept.mkdir(exist_ok=True)
            given = keep_model(model, head, resolved, kept)
    with offered(given):
        found = run(config, folder.path, shown=shown)
    return result_of(found, folder.path, given)


def _requested(settings: Mapping[str, Any], model: nn.Module | str | None) -> RunConfig:
    """The config with the settings named in a call, which win over its mode."""
    config = in_mode(RunConfig(), settings.get("mode", RunConfig().mode))
    if model is not None:
        network = model if isinstance(model, str) else "given"
        config = changed(config, {"classifier.network": network})
    config = changed(config, settings)
    if config.classifier.network.startswith("py:"):
        name_network(config.classifier.network)
    return config


def _is_path(given: Any) -> bool:
    return isinstance(given, str | os.PathLike)


def _place(given: Any, kept: Path) -> str:
    """Where the images will be read from."""
    return os.fspath(given) if _is_path(given) else str(kept)


def _keep(given: Any, path: Path, name: str) -> None:
    if not _is_path(given):
        keep_images(given, path, name)


def _keep_test(train: Any, test: Any, kept: Path) -> None:
    if _is_path(train) or _is_path(test):
        raise ValueError(
            "test goes with images that are given in Python: let the folder, Parquet "
            "or CSV of `train` have a test split"
        )
    keep_images(test, kept / "data" / "test.parquet", "test")


SHOWN_TO_IT = 2  # images, for the head to be found


def keep_model(
    model: nn.Module, head: str | None, data: DataConfig, folder: Path
) -> Given:
    """The module with the weights that the run began with.

    Raises:
        ValueError: if it does not fit the images, has no head, or is not the module
            that the run began with.
    """
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
    """(C, H, W) of what F will see, from one image.

    Raises:
        ValueError: if none can be read.
    """
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
