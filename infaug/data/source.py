"""A source by its name or path: images, labels and class names, all checked.

Every fault that the files can have is found here, before any training, and told with
the file or row at fault and with a remedy.
"""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from infaug.config import DataConfig
from infaug.data.dataset import Labelled
from infaug.data.decode import Decoder
from infaug.data.digits import digits
from infaug.data.feed import Feed, Threads
from infaug.data.folder import folder_class_names, folder_items, folder_parts
from infaug.data.parquet import parquet_class_names, parquet_items, parquet_parts
from infaug.data.stored import Stored, must_stream, open_stored
from infaug.storage import Location, location

# Images, labels, and the class names if they are stored.
Part = tuple[Tensor, Tensor, tuple[str, ...] | None]


@dataclass(frozen=True, eq=False)
class Source:
    """All images of a source; `test` is None if it comes without a test split."""

    train: Labelled | Stored
    test: Labelled | None
    bad: tuple[str, ...]
    """Images that were skipped as unreadable: file or row, and the reason."""

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these images from others, for a file."""
        found: dict[str, Any] = {
            "classes": list(self.train.class_names),
            "image shape": list(self.train.image_shape),
        }
        for name, part in (("train", self.train), ("test", self.test)):
            if part is not None:
                found[f"{name} images"] = len(part)
                found[f"{name} checksum"] = part.checksum
        return found


def load(config: DataConfig, feed: Feed | None = None) -> Source:
    """Read the images of `config.source`; warn if some were skipped.

    Training images too many for `config.stream_above_gib` stay stored, and `feed`
    decodes them when they are asked for: by default threads of this process.

    Raises:
        ValueError: if the source is missing, empty or of no known layout, or if a
            column, image, label or class is not as it must be.
    """
    if config.source == "digits":
        mode = "RGB" if config.mode == "RGB" else "L"
        return Source(digits(image_size=config.image_size or 16, mode=mode), None, ())
    path = location(config.source)
    files = parquet_parts(path) if path.exists() else {}
    if files and must_stream(files["train"], config):
        return _streamed(path, files, config, feed or Threads())
    decoder = Decoder(config)
    parts = _read_parts(path, config, decoder)
    images, labels, names = parts["train"]
    train = Labelled(images, labels, _numbered(path, labels, names))
    test = None
    if "test" in parts:
        images, labels, names = parts["test"]
        _check_like_train(path, train.class_names, labels, names)
        test = Labelled(images, labels, train.class_names)
    if decoder.bad:
        few = "; ".join(decoder.bad[:3]) + ("; ..." if len(decoder.bad) > 3 else "")
        warnings.warn(
            f"{len(decoder.bad)} unreadable images were skipped: {few}", stacklevel=2
        )
    return Source(train, test, tuple(decoder.bad))


def _streamed(
    path: Location, files: dict[str, list[Location]], config: DataConfig, feed: Feed
) -> Source:
    names = {split: parquet_class_names(each) for split, each in files.items()}
    train = open_stored(files["train"], config, names["train"], feed)
    train = replace(train, class_names=_numbered(path, train.labels, names["train"]))
    if "test" not in files:
        return Source(train, None, ())
    test = open_stored(files["test"], config, names["test"], feed)
    _check_like_train(path, train.class_names, test.labels, names["test"])
    test = replace(test, class_names=train.class_names)
    return Source(train, test.select_all(), ())


def _read_parts(
    path: Location, config: DataConfig, decoder: Decoder
) -> dict[str, Part]:
    if not path.exists():
        raise ValueError(
            f"data.source {str(path)!r} was not found: looked for {path.absolute}. "
            "Give a Parquet file, a folder, or `digits`, which is bundled"
        )
    parts = {}
    for split, files in parquet_parts(path).items():
        names = parquet_class_names(files)
        parts[split] = (*decoder.read(parquet_items(files, config, names)), names)
    if parts:
        return parts
    for split, folder in folder_parts(path).items():
        names = folder_class_names(folder)
        parts[split] = (*decoder.read(folder_items(folder, names)), names)
    if not parts:
        is_empty = path.is_dir() and not (path.files() or path.folders())
        found = "empty" if is_empty else "neither Parquet nor a folder of class folders"
        raise ValueError(
            f"data.source {path} is {found}: give name.parquet, a folder with "
            "train.parquet, or a folder with class/name.jpg"
        )
    return parts


def _numbered(
    path: Location, labels: Tensor, names: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Check that train has every class; without stored names, classes are numbers."""
    present = labels.unique()
    num_classes = len(names) if names is not None else len(present)
    absent = _first_absent(present, num_classes)
    if absent is not None:
        named = f" ({names[absent]!r})" if names is not None else ""
        raise ValueError(
            f"{path}: no training image has class {absent}{named}, but labels go up to "
            f"{max(int(present[-1]), num_classes - 1)}: add images of it, or number "
            "the classes from 0 without gaps"
        )
    names = names or tuple(str(number) for number in range(num_classes))
    if num_classes < 2:
        raise ValueError(
            f"{path}: all training images have one class, {names[0]!r}: a classifier "
            "needs two or more"
        )
    return names


def _check_like_train(
    path: Location,
    train_names: tuple[str, ...],
    labels: Tensor,
    names: tuple[str, ...] | None,
) -> None:
    """Refuse a test split that has not exactly the classes of train."""
    num_classes = len(train_names)
    if names is not None and names != train_names:
        raise ValueError(
            f"{path}: train and test differ in classes, "
            f"{_differing(train_names, names)}: "
            "give both the same, or remove test so that part of train is held out"
        )
    present = labels.unique()
    absent = _first_absent(present, num_classes)
    if absent is not None or len(present) != num_classes:
        wrong = f"no class {absent}" if absent is not None else f"class {present[-1]}"
        raise ValueError(
            f"{path}: train has classes 0..{num_classes - 1}, test has {wrong}: "
            "give both the same, or remove test so that part of train is held out"
        )


def _first_absent(present: Int64[Tensor, "y"], num_classes: int) -> int | None:
    """The least of 0..Y-1 that is not among the sorted numbers present, if any."""
    absent = torch.isin(torch.arange(num_classes), present, invert=True).nonzero()
    return int(absent[0]) if len(absent) else None


def _differing(train_names: tuple[str, ...], names: tuple[str, ...]) -> str:
    only_train = [name for name in train_names if name not in names]
    only_test = [name for name in names if name not in train_names]
    return f"only in train {only_train[:5]}, only in test {only_test[:5]}"
