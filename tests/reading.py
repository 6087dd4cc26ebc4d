"""Sets of images as they are found, and reading one as a run does."""

import io
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torch import Tensor

from infaug.config import DataConfig
from infaug.data.images import Source
from infaug.data.loader import Reader
from infaug.data.source import load
from infaug.data.survey import resolve_images

CLASSES = ("cat", "dog")


def read(path: Path, **settings) -> Source:
    """The images of a place, without the warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config, _ = resolve_images(DataConfig(source=str(path), **settings))
        return load(config)


def values(part) -> list[int]:
    """The first pixel of each image."""
    return part.images[:, 0, 0, 0].tolist()


def as_set(images: Tensor) -> set[bytes]:
    """Images as what can be looked for in a set."""
    return {image.numpy().tobytes() for image in images}


def flat(
    value: int = 0, mode: str = "L", size: tuple[int, int] = (8, 8)
) -> Image.Image:
    """An image of one value."""
    return Image.new(mode, size, value if mode == "L" else (value,) * 3)


def encoded(image: Image.Image, kind: str = "PNG", **settings) -> bytes:
    """What a file of it holds."""
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **settings)
    return buffer.getvalue()


def count_decoded(patch: pytest.MonkeyPatch) -> list[int]:
    """How many images a reader decodes, call by call, from now on."""
    counts, decode = [], Reader.decode

    def counted(self, encoded, crops):
        counts.append(len(encoded.items))
        return decode(self, encoded, crops)

    patch.setattr(Reader, "decode", counted)
    return counts


def write_images(root: Path, files: dict[str, Image.Image | bytes]) -> str:
    """Write image files under a folder, from {relative path: image or bytes}."""
    for name, image in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        is_open = isinstance(image, Image.Image)
        (root / name).write_bytes(encoded(image) if is_open else image)
    return str(root)


def write_rows(path: Path, labels, images=None, *, names=None) -> str:
    """Write a Parquet file: images (PIL, bytes or None) and labels, one row each."""
    images = [flat(i) for i in range(len(labels))] if images is None else images
    cells = [encoded(i) if isinstance(i, Image.Image) else i for i in images]
    table = pa.table({"image": pa.array(cells, pa.binary()), "label": labels})
    if names is not None:
        table = table.replace_schema_metadata({"class_names": json.dumps(names)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=3)
    return str(path)


def class_folders(above: str = "", first: int = 0) -> dict[str, Image.Image]:
    """Two images of each class, of values from `first` on."""
    return {
        f"{above}{name}/{k}.png": flat(first + 10 * i + k)
        for i, name in enumerate(CLASSES)
        for k in range(2)
    }


def flat_splits() -> dict[str, Image.Image]:
    """Four images of each split, without class folders."""
    return {
        f"{split}/{k}.png": flat(10 * number + k)
        for number, split in enumerate(("train", "test"))
        for k in range(4)
    }


def hub_rows(
    labels: Sequence[int],
    *,
    names: Sequence[str] | None = None,
    images: Sequence[dict] | None = None,
    column: str = "image",
) -> bytes:
    """Parquet as the Hub has it: struct images, names in the schema's metadata."""
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = images or [{"bytes": encoded(flat(k))} for k in range(len(labels))]
    table = pa.table({column: pa.array(images, kind), "label": pa.array(labels)})
    if names:
        label = {"names": list(names), "_type": "ClassLabel"}
        about = {"info": {"features": {"label": label, column: {"_type": "Image"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()
