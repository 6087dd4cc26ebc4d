"""Where the images of a source lie, split by split, before one of them is decoded.

Parquet, folders of class folders and tables all end here; whoever decodes, counts or
samples images need not know which it was.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from infaug.config import DataConfig
from infaug.data.decode import Encoded
from infaug.data.folder import folder_class_names, folder_items, folder_parts
from infaug.data.parquet import parquet_class_names, parquet_items, parquet_parts
from infaug.data.table import table_class_names, table_items, table_parts
from infaug.storage import Location, location


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The images of one split, as they lie in files."""

    class_names: tuple[str, ...] | None
    """None if labels are bare numbers."""
    items: Callable[[], Iterable[Encoded]]
    """Every image, in order."""
    files: Sequence[Location] = field(default=())
    """The Parquet files that hold them, if any do."""


def listed(source: str, config: DataConfig) -> dict[str, Listed]:
    """The splits that a source has: `train`, and `val` and `test` where they are.

    Raises:
        ValueError: if it is missing, empty, or of no known layout.
    """
    path = location(source)
    if not path.exists():
        raise ValueError(
            f"data.source {str(path)!r} was not found: looked for {path.absolute}. "
            "Give a Parquet file, a CSV, a folder, or `digits`, which is bundled"
        )
    if path.suffix.lower() == ".csv" and path.is_file():
        return _of_table(path, config)
    parts = {}
    for split, files in parquet_parts(path).items():
        names = parquet_class_names(files)
        items = partial(parquet_items, files, config, names)
        parts[split] = Listed(class_names=names, items=items, files=files)
    for split, folder in {} if parts else folder_parts(path).items():
        names = folder_class_names(folder)
        parts[split] = Listed(
            class_names=names, items=partial(folder_items, folder, names)
        )
    if not parts:
        is_empty = path.is_dir() and not (path.files() or path.folders())
        found = "empty" if is_empty else "neither Parquet nor a folder of class folders"
        raise ValueError(
            f"data.source {path} is {found}: give name.parquet, a folder with "
            "train.parquet, a folder with class/name.jpg, or a CSV of paths and labels"
        )
    return parts


def _of_table(path: Location, config: DataConfig) -> dict[str, Listed]:
    parts = {}
    for split, lines in table_parts(path, config).items():
        names = table_class_names(lines)
        parts[split] = Listed(
            class_names=names, items=partial(table_items, lines, names)
        )
    if "train" not in parts:
        raise ValueError(
            f"{path} has no line whose {config.split_column} is train: mark the "
            "training images so, or leave that column out"
        )
    return parts
