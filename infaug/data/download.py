"""Public data sets, downloaded once and written as Parquet that `load` reads."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torchvision import datasets

from infaug.config import Downloadable
from infaug.data.shard_file import image_schema, whole_file
from infaug.randomness import generator

ROWS_PER_GROUP = 256  # a stream wants several for each group of its batches


def download(name: Downloadable, out: Path, download_dir: Path) -> None:
    """Write `out/train.parquet` and `out/test.parquet`, both or none."""
    files = {split: out / f"{split}.parquet" for split in ("train", "test")}
    for file in files.values():
        _refuse_existing(file)
    data = {split: _download(name, split, download_dir) for split in files}
    try:
        for split, file in files.items():
            # MNIST's classes are called "0 - zero", ...
            names = tuple(each.split(" - ")[0] for each in data[split].classes)
            write_parquet(data[split], file, names)
    except BaseException:
        files["train"].unlink(missing_ok=True)
        raise


def write_parquet(data: Any, path: Path, class_names: tuple[str, ...]) -> None:
    """Write images as PNG with their labels, rows shuffled in a fixed order.

    `data` gives (PIL image, class index) by position, as torchvision's data sets do.
    The file appears complete or not at all.
    """
    _refuse_existing(path)
    schema = image_schema(class_names)
    with (
        whole_file(path) as unfinished,
        pq.ParquetWriter(
            unfinished, schema, compression="zstd", write_page_checksum=True
        ) as writer,
    ):
        for batch in _batches(data, schema):
            writer.write_batch(batch)


def _batches(data: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    order = torch.randperm(len(data), generator=generator(0, "prepare"))
    for rows in order.split(ROWS_PER_GROUP):
        pairs = [data[index] for index in rows.tolist()]
        columns = [[_png(image) for image, _ in pairs], [label for _, label in pairs]]
        yield pa.record_batch(columns, schema=schema)


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _download(name: Downloadable, split: str, download_dir: Path) -> Any:
    kinds = {
        "mnist": datasets.MNIST,
        "cifar10": datasets.CIFAR10,
        "cifar100": datasets.CIFAR100,
    }
    try:
        return kinds[name](download_dir, train=split == "train", download=True)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{name} could not be downloaded to {download_dir} ({error}): this needs "
            "the network. Without it, prepare on a connected machine and copy the "
            "Parquet folder, or put the original files into the download folder"
        ) from error


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise ValueError(f"{file} exists already: remove it or choose another folder")
