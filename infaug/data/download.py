"""Public data sets, downloaded once and written as Parquet that `load` reads."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from PIL import Image
from torchvision import datasets

from infaug.config import DataConfig, Downloadable
from infaug.data.class_sizes import rank_in_class
from infaug.data.parquet import parquet_class_names
from infaug.data.shard_file import ROWS_PER_GROUP, image_schema, whole_file
from infaug.randomness import generator
from infaug.storage import location

# Li et al. (2017): 9,991 photographs, paintings, cartoons and sketches of 227 px.
PACS = (
    "https://huggingface.co/datasets/flwrlabs/pacs/resolve/main/data/"
    "train-00000-of-00001.parquet"
)
DOMAINS = ("photo", "art_painting", "cartoon", "sketch")
FEW = 12  # images of a class
PARTS = {"pacs": [f"{name}{end}" for name in DOMAINS for end in ("", "-few")]}


def download(name: Downloadable, out: Path, download_dir: Path) -> list[Path]:
    """Write a set, all of its files or none; which these are."""
    write = _write_pacs if name == "pacs" else partial(_write_splits, name)
    files = [out / f"{each}.parquet" for each in PARTS.get(name, ("train", "test"))]
    for file in files:
        _refuse_existing(file)
    try:
        write(files, download_dir)
    except BaseException:
        for file in files:
            file.unlink(missing_ok=True)
        raise
    return files


def _write_splits(
    name: Downloadable, files: Sequence[Path], download_dir: Path
) -> None:
    data = {file: _download(name, file.stem, download_dir) for file in files}
    for file, split in data.items():
        # MNIST's classes are called "0 - zero", ...
        write_parquet(split, file, tuple(c.split(" - ")[0] for c in split.classes))


def _write_pacs(files: Sequence[Path], download_dir: Path) -> None:
    """Of each domain its images, but for `FEW` of each class, which have a file."""
    original = download_dir / "pacs.parquet"
    if not original.exists():
        download_dir.mkdir(parents=True, exist_ok=True)
        with _telling("pacs", download_dir):
            torch.hub.download_url_to_file(PACS, str(original), progress=False)
    names = parquet_class_names([location(str(original))], DataConfig())
    assert names is not None, "PACS has names of classes"
    whole = pq.read_table(original)
    for rest, few in zip(files[::2], files[1::2], strict=True):
        own = whole.filter(pc.field("domain") == rest.stem)
        order = torch.randperm(len(own), generator=generator(0, "prepare", rest.stem))
        own = own.take(order.numpy())
        labels = torch.tensor(own["label"].to_pylist())
        is_few = rank_in_class(labels) < FEW
        images = [image["bytes"] for image in own["image"].to_pylist()]
        table = pa.table([images, own["label"]], schema=image_schema(names))
        for file, chosen in ((few, is_few), (rest, ~is_few)):
            with whole_file(file) as unfinished:
                pq.write_table(
                    table.filter(pa.array(chosen.numpy())), unfinished,
                    row_group_size=ROWS_PER_GROUP, write_page_checksum=True,
                )  # fmt: skip


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
    with _telling(name, download_dir):
        return kinds[name](download_dir, train=split == "train", download=True)


@contextmanager
def _telling(name: Downloadable, download_dir: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{name} could not be downloaded to {download_dir} ({error}): this needs "
            "the network. Without it, prepare on a connected machine and copy the "
            "Parquet folder, or put the original files into the download folder"
        ) from error


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise ValueError(f"{file} exists already: remove it or choose another folder")
