"""Where the images of a source lie, split by split, before one of them is decoded.

Parquet, class folders, tars of them, tables and metadata files all end here. Whoever
decodes, counts, samples or rewrites images need not know which it was.
"""

import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any, NoReturn

from infaug.config import DataConfig
from infaug.data.decode import Encoded
from infaug.data.folder import class_folders, without_runs
from infaug.data.names import (
    SPLITS,
    UNREAD,
    is_image,
    is_parquet,
    ordered_names,
    split_in,
    split_of,
    suffix_of,
)
from infaug.data.parquet import num_without_labels, parquet_class_names, parquet_items
from infaug.data.table import METADATA, TABLES, Line, metadata_parts, table_parts
from infaug.data.tree import Member, source_files
from infaug.storage import Location, location
from infaug.words import plural

PLAN = "plan.json"  # of a prepared folder
LAYOUTS = (
    "give name.parquet, a folder with train.parquet, a folder or tar with "
    "class/name.jpg, or a CSV of paths and labels"
)
IMAGENET = (
    ". ImageNet's validation images come without classes: unpack them, sort them into "
    "folders named for their synsets (by the ground truth of the development kit), and "
    "give that folder with --test"
)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The images of one split, as they lie in files."""

    class_names: tuple[str, ...] | None
    """None if labels are bare numbers."""
    items: Callable[[], Iterable[Encoded]]
    """Every image, in order."""
    files: Sequence[Location] = ()
    """The Parquet files that hold them, if any do."""
    notes: tuple[str, ...] = ()
    """What the source has that was skipped or renamed; the same for all its splits."""


def listed(source: str, config: DataConfig) -> dict[str, Listed]:
    """The splits that a source has: `train`, and `val` and `test` where they are.

    Raises:
        ValueError: if it is missing, empty, or of no known layout.
    """
    path = location(source)
    if not path.exists():
        raise ValueError(
            f"data.source {str(path)!r} was not found: looked for {path.absolute}. "
            "Give a Parquet file, a CSV, a folder, or `digits`, which is bundled; if a "
            "run's images have moved, rerun its `infaug fit` with the new --data"
        )
    if path.is_file():
        if suffix_of(path.name) in TABLES:
            return _of_lines(path, table_parts(path, config), config)
        if is_parquet(path.name):
            return _of_parquet({"train": [path]}, config)
        if not _is_tar(path):
            _refuse_layout(path, (), ())
    files = source_files(path)
    names = without_runs(files)
    if path.is_dir():
        if lines := metadata_parts(path, names, config):
            return _of_lines(path, lines, config)
        if parquet := _parquet_parts(path, names):
            return _of_parquet(parquet, config)
    layout = class_folders(str(path), names)
    if not layout.splits or _is_webdataset(names):
        _refuse_layout(path, names, layout.notes)
    return {
        split: Listed(
            class_names=tuple(classes),
            items=partial(_items, files, classes),
            notes=layout.notes,
        )
        for split, classes in layout.splits.items()
    }


def _is_tar(path: Location) -> bool:
    lower = path.name.lower()
    return path.is_local and (".tar" in lower or lower.endswith((".tgz", ".tbz2")))


def _is_webdataset(names: Sequence[str]) -> bool:
    """Whether images have files beside them that hold their labels."""
    labelled = {name[:-4] for name in names if suffix_of(name) == ".cls"}
    return any(
        is_image(name) and os.path.splitext(name)[0] in labelled for name in names
    )


def _refuse_layout(
    path: Location, names: Sequence[str], notes: Sequence[str]
) -> NoReturn:
    found = "neither Parquet nor a folder of class folders"
    if path.is_dir() and not names:
        found = "empty"
    hint = ""
    if any("ILSVRC2012_val_" in name for name in names):
        hint = IMAGENET
    elif _is_webdataset(names) or _is_tar(path):
        hint = ". A WebDataset is not read: unpack it to class folders or Parquet"
    elif why := UNREAD.get(suffix_of(path.name)):
        hint = f"; {why}"
    lines = "".join(f"\n{note}" for note in notes)
    raise ValueError(f"data.source {path} is {found}: {LAYOUTS}{hint}{lines}")


def _parquet_parts(path: Location, names: Sequence[str]) -> dict[str, list[Location]]:
    """The files of `train`, and of `val` and `test` where there are such.

    A split is named by the beginning of a file's name or by a folder above it, in any
    usual spelling (`data/train-00000-of-00002.parquet`, `validation/0000.parquet`).
    Where no file is of train, all that name no split are. Files that are not used are
    named in a warning.
    """
    files = sorted(
        name
        for name in names
        if is_parquet(name) and PurePosixPath(name).name not in METADATA
    )
    _refuse_missing(path, set(files))
    parts: dict[str, list[str]] = {split: [] for split in SPLITS}
    others: list[str] = []
    for name in files:
        parts.get(_split_of(name) or "", others).append(name)
    if parts["train"] and others:
        warnings.warn(
            f"{path}: only files of train, val and test are used, not "
            f"{', '.join(others[:5])}{', ...' if len(others) > 5 else ''}",
            stacklevel=2,
        )
    elif not parts["train"]:
        parts["train"] = others
    if files and not parts["train"]:
        raise ValueError(
            f"{path} holds {files[0]} and no Parquet file of the training images: add "
            "a train.parquet, or give the one file to train on"
        )
    return {
        split: [path / name for name in found]
        for split, found in parts.items()
        if found
    }


def _split_of(name: str) -> str | None:
    *above, file = PurePosixPath(name).parts
    return next(filter(None, map(split_of, above)), split_in(file))


def _refuse_missing(path: Location, present: set[str]) -> None:
    plan = read_plan(path) or {"shards": ()}
    planned = list(plan["shards"])
    if missing := [name for name in planned if name not in present]:
        raise ValueError(
            f"{path} lacks {missing[0]}, in all {len(missing)} of the {len(planned)} "
            f"files that its plan.json lists: `infaug data prepare {plan['source']} "
            f"{path}`, with the settings it was begun with, writes what is missing"
        )


def read_plan(folder: Location) -> dict[str, Any] | None:
    """The plan of a prepared folder; None if it has none."""
    path = folder / PLAN
    if not path.is_file():
        return None
    try:
        plan = json.loads(path.read_bytes())
        if not isinstance(plan["shards"], dict):
            raise TypeError("no shards")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): remove it with the Parquet files beside it, "
            "and prepare again"
        ) from error
    return plan


def _of_parquet(
    parts: Mapping[str, list[Location]], config: DataConfig
) -> dict[str, Listed]:
    found, notes = {}, []
    for split, files in parts.items():
        if split != "train" and (num := num_without_labels(files, config)):
            notes.append(f"skipped    {plural(num, 'row')} of {split} (without labels)")
            continue
        names = parquet_class_names(files, config)
        items = partial(parquet_items, files, config, names)
        found[split] = Listed(class_names=names, items=items, files=files)
    return {split: replace(part, notes=tuple(notes)) for split, part in found.items()}


def _of_lines(
    path: Location, parts: Mapping[str, list[Line]], config: DataConfig
) -> dict[str, Listed]:
    if "train" not in parts:
        raise ValueError(
            f"{path} has no line whose {config.split_column} is train: mark the "
            "training images so, or leave that column out"
        )
    found = {}
    moved = [line.name for lines in parts.values() for line in lines if line.is_moved]
    notes = tuple(
        f"moved      {plural(len(moved), 'image')} found below {path.parent}, not "
        f"where the table says: {first}"
        for first in moved[:1]
    )
    for split, lines in parts.items():
        names = ordered_names(line.label for line in lines)
        number = {name: label for label, name in enumerate(names)}
        items = [Encoded(line.name, line.file, number[line.label]) for line in lines]
        found[split] = Listed(
            class_names=names, items=partial(iter, items), notes=notes
        )
    return found


def _items(
    files: Mapping[str, Location | Member], classes: Mapping[str, Sequence[str]]
) -> Iterable[Encoded]:
    """Every image, class by class, as a file with the index of its class."""
    for label, names in enumerate(classes.values()):
        for name in names:
            yield Encoded(str(files[name]), files[name], label)
