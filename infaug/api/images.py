"""Images that are given in Python, kept in the run's folder as Parquet.

PNG loses nothing of 8-bit images.
"""

import json
from collections.abc import Iterator, Mapping, Sequence, Sized
from hashlib import blake2b
from io import BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from infaug.data.columns import OTHER_LABELS
from infaug.data.shard_file import ROWS_PER_GROUP, image_schema, whole_file

PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
LABELS = "the label must be a class number or name"


def keep_images(given: Any, path: Path, name: str) -> None:
    """Write images and labels as a Parquet file, or see that they are what it holds.

    Args:
        given: (images, labels) as tensors, or a data set by position: pairs as of
            torchvision or dictionaries as of Hugging Face, images as PIL or a tensor
            [C, H, W], uint8 or float in [0, 1], labels as numbers or names.
        path: of the file.
        name: of the argument, for messages.

    Raises:
        ValueError: for images or labels that are not such, or other ones than the file
            holds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    names, pairs = _class_names(given), _pairs(given, name)
    if (first := next(pairs, None)) is None:
        raise ValueError(f"{name} holds no image")
    pairs = chain([first], pairs)
    schema, has_names = image_schema(names or ()), isinstance(first[1], str)
    if has_names:
        schema = schema.set(1, pa.field("label", pa.string()))
    if names is None or has_names:
        schema = schema.with_metadata(None)
    digest = blake2b(json.dumps(names).encode(), digest_size=16)
    with whole_file(path) as unfinished:
        with pq.ParquetWriter(unfinished, schema, compression="none") as writer:
            while group := list(islice(pairs, ROWS_PER_GROUP)):
                images, labels = map(list, zip(*group, strict=True))
                digest.update(b"".join(images) + str(labels).encode())
                writer.write_batch(pa.record_batch([images, labels], schema=schema))
            writer.add_key_value_metadata({"given": digest.hexdigest()})
        if path.exists() and _digest_in(path) != digest.hexdigest():
            raise ValueError(
                f"{path.parent.parent.parent} holds a run on other images than "
                f"{name!r} has now: give the same ones to continue it, or another `out`"
            )


def _digest_in(path: Path) -> str:
    return (pq.read_metadata(path).metadata or {}).get(b"given", b"").decode()


def _pairs(given: Any, name: str) -> Iterator[tuple[bytes, int | str]]:
    """Encoded images and labels, in order; labels are all numbers or all names."""
    kind: type | None = None
    column = _label_column(given)
    for number, item in enumerate(_items(given, name)):
        where = f"{name}[{number}]"
        if isinstance(item, Mapping):
            item = _of_columns(item, column, where)
        if not isinstance(item, Sequence) or len(item) != 2:
            raise ValueError(f"{where} must be (image, label), got {type(item)}")
        label = _label(item[1], where)
        if type(label) is not (kind := kind or type(label)):
            raise ValueError(f"{where} has label {label!r}, and others a {kind}")
        yield _encoded(item[0], where), label


def _items(given: Any, name: str) -> Iterator[Any]:
    if isinstance(given, Mapping):
        raise ValueError(
            f"{name} is a dictionary of {', '.join(map(str, given))}: give one of its "
            "splits"
        )
    is_pair = isinstance(given, Sequence) and len(given) == 2
    if is_pair and all(isinstance(each, Tensor) for each in given):
        images, labels = given
        if len(images) != len(labels):
            raise ValueError(
                f"{name}: {len(images)} images and {len(labels)} labels: give as many"
            )
        return zip(images, labels, strict=True)
    if isinstance(given, Sized) and (at := getattr(given, "__getitem__", None)):
        return (at(k) for k in range(len(given)))
    raise ValueError(
        f"{name} must be a path, a pair of tensors (images, labels), or a data set "
        f"with a length such as torchvision's, got {type(given).__name__}"
    )


def _label_column(given: Any) -> str | None:
    """The only column of class labels of a Hugging Face data set."""
    features = getattr(_innermost(given), "features", None)
    if not isinstance(features, Mapping):
        return None
    found = [k for k, v in features.items() if getattr(v, "names", None)]
    return "label" if "label" in found or len(found) != 1 else found[0]


def _of_columns(item: Mapping[str, Any], named: str | None, where: str) -> tuple:
    """The image and the label of a row."""
    images = [
        key
        for key, value in item.items()
        if isinstance(value, Image.Image) or (isinstance(value, Tensor) and value.ndim)
    ]
    columns = [named] if named else []
    labels = [key for key in (*columns, "label", *OTHER_LABELS) if key in item]
    if len(images) != 1 or not labels:
        raise ValueError(
            f"{where} must have one image and a label, got {', '.join(item)}: rename "
            "the column of labels to `label`, or drop other images"
        )
    return item[images[0]], item[labels[0]]


def _label(label: Any, where: str) -> int | str:
    if isinstance(label, str) and label.strip():
        return label
    try:
        if not isinstance(label, str) and int(label) == label and label >= 0:
            return int(label)
    except (TypeError, ValueError, RuntimeError):
        pass
    raise ValueError(f"{where}: {LABELS}, got {label!r}")


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
    if not image.is_floating_point() or not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(
            f"{where}: values must be uint8 or float in [0, 1], got {image.dtype} from "
            f"{image.min():g} to {image.max():g}: leave out Normalize, for infaug "
            "normalises inside the classifier"
        )
    return (255 * image).round().to(torch.uint8)


def _class_names(given: Any) -> tuple[str, ...] | None:
    """Those of a data set, or of the one that a `Subset` is of."""
    given, column = _innermost(given), _label_column(given)
    names = getattr(given, "classes", None)
    if column is not None:
        names = getattr(given.features.get(column), "names", None)
    if isinstance(names, Sequence) and all(isinstance(name, str) for name in names):
        return tuple(names)
    return None


def _innermost(given: Any) -> Any:
    while hasattr(given, "dataset"):
        given = given.dataset
    return given
