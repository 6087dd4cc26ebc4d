"""What is given in Python, kept in the run's folder: images as Parquet, a module.

So the run is one on files like any other: it can be continued, and every command works
on it when this process is gone. PNG loses nothing of 8-bit images.

RUN/given/data/*.parquet      images and labels
RUN/given/model.json          a module's structure, for a later call to be compared with
RUN/given/model.safetensors   its weights when the run began: every method begins there
"""

import copy
import json
from collections.abc import Iterator, Sequence, Sized
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as transforms

from infaug.classify.given import Given, find_head
from infaug.config import DataConfig
from infaug.data.decode import Decoder
from infaug.data.digits import digits
from infaug.data.listing import listed
from infaug.data.shard_file import image_schema, whole_file
from infaug.record.atomic import write_json, write_tensors

ROWS_PER_GROUP = 256
PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def keep_images(given: Any, path: Path, name: str) -> None:
    """Write images and labels as a Parquet file, or see that they are what it holds.

    Args:
        given: (images, labels) as tensors, or a data set that yields (image, label):
            PIL, or a tensor [C, H, W], uint8 or float in [0, 1].
        path: of the file.
        name: of the argument, for messages.

    Raises:
        ValueError: for images or labels that are not such, or other ones than the file
            holds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    names = _class_names(given)
    schema = image_schema(names or ())
    if names is None:
        schema = schema.with_metadata(None)
    digest = blake2b(json.dumps(names).encode(), digest_size=16)
    with whole_file(path) as unfinished:
        with pq.ParquetWriter(unfinished, schema, compression="none") as writer:
            for images, labels in _grouped(_pairs(given, name)):
                for image in images:
                    digest.update(image)
                digest.update(str(labels).encode())
                writer.write_batch(pa.record_batch([images, labels], schema=schema))
            writer.add_key_value_metadata({"given": digest.hexdigest()})
        if path.exists() and _digest_in(path) != digest.hexdigest():
            raise ValueError(
                f"{path.parent.parent.parent} holds a run on other images than "
                f"{name!r} has now: give the same ones to continue it, or another `out`"
            )


def _digest_in(path: Path) -> str:
    return (pq.read_metadata(path).metadata or {}).get(b"given", b"").decode()


def _grouped(
    pairs: Iterator[tuple[bytes, int]],
) -> Iterator[tuple[list[bytes], list[int]]]:
    images, labels = [], []
    for image, label in pairs:
        images.append(image)
        labels.append(label)
        if len(images) == ROWS_PER_GROUP:
            yield images, labels
            images, labels = [], []
    if images:
        yield images, labels


def _pairs(given: Any, name: str) -> Iterator[tuple[bytes, int]]:
    """Encoded images and labels, in order."""
    if isinstance(given, Sequence) and len(given) == 2 and _are_tensors(given):
        images, labels = given
        if len(images) != len(labels):
            raise ValueError(
                f"{name}: {len(images)} images and {len(labels)} labels: give as many"
            )
        items = zip(images, labels, strict=True)
    elif isinstance(given, Sized) and (at := getattr(given, "__getitem__", None)):
        items = (at(k) for k in range(len(given)))
    else:
        raise ValueError(
            f"{name} must be a path, a pair of tensors (images, labels), or a data set "
            f"with a length such as torchvision's, got {type(given).__name__}"
        )
    for number, item in enumerate(items):
        where = f"{name}[{number}]"
        if not isinstance(item, Sequence) or len(item) != 2:
            raise ValueError(f"{where} must be (image, label), got {type(item)}")
        yield _encoded(item[0], where), _label(item[1], where)


def _are_tensors(given: Sequence) -> bool:
    return all(isinstance(each, Tensor) for each in given)


def _label(label: Any, where: str) -> int:
    try:
        if int(label) == label and label >= 0:
            return int(label)
    except (TypeError, ValueError, RuntimeError):
        pass
    raise ValueError(f"{where}: the label must be a class number, got {label!r}")


def _encoded(image: Any, where: str) -> bytes:
    if isinstance(image, Tensor):
        image = transforms.to_pil_image(_eight_bits(image, where))
    if not isinstance(image, Image.Image):
        raise ValueError(
            f"{where}: the image must be PIL or a tensor, got {type(image).__name__}"
        )
    if image.mode == "I":
        image = _sixteen_bits(image, where)
    if image.mode == "F":
        raise ValueError(
            f"{where}: 32-bit float pixels have no known range; give 8 bits"
        )
    if image.getexif():
        image = ImageOps.exif_transpose(image)
    if image.mode not in PNG_MODES:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    buffer = BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def _sixteen_bits(image: Image.Image, where: str) -> Image.Image:
    """PNG has no more; values keep their meaning, and the set's range scales them."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() >= 2**16:
        raise ValueError(
            f"{where}: grey values must lie in 0..65535, got {values.min()} to "
            f"{values.max()}: divide them by a fixed number"
        )
    return Image.fromarray(values.astype(np.uint16))


def _eight_bits(image: Tensor, where: str) -> Tensor:
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(
            f"{where}: a tensor must be [1 or 3, H, W], got {list(image.shape)}"
        )
    if image.dtype == torch.uint8:
        return image
    if not image.is_floating_point():
        raise ValueError(
            f"{where}: values must be uint8 or float in [0, 1], got {image.dtype}"
        )
    least, most = float(image.min()), float(image.max())
    if not (least >= 0 and most <= 1):
        raise ValueError(
            f"{where}: float values must lie in [0, 1], got {least:g} to {most:g}: "
            "leave out Normalize, for infaug normalises inside the classifier"
        )
    return (255 * image).round().to(torch.uint8)


def _class_names(given: Any) -> tuple[str, ...] | None:
    """Those of a data set, or of the one that a `Subset` is of."""
    while hasattr(given, "dataset"):
        given = given.dataset
    names = getattr(given, "classes", None)
    if isinstance(names, Sequence) and all(isinstance(name, str) for name in names):
        return tuple(names)
    return None


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
