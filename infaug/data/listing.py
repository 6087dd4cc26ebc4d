"""Where the images of a source lie, split by split, before one of them is decoded.

Parquet, class folders, tars of them, tables and metadata files all end here. Whoever
decodes, counts, samples or rewrites images need not know which it was.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path

from infaug.config import DataConfig
from infaug.data.decode import Encoded
from infaug.data.folder import Layout, class_folders, without_runs
from infaug.data.names import is_parquet, suffix_of
from infaug.data.parquet import parquet_class_names, parquet_items, parquet_parts
from infaug.data.table import (
    TABLES,
    Line,
    metadata_parts,
    table_class_names,
    table_items,
    table_parts,
)
from infaug.data.tree import Member, Tree, names_below, read_tree
from infaug.storage import Location, location

LAYOUTS = (
    "give name.parquet, a folder with train.parquet, a folder with class/name.jpg, or "
    "a CSV of paths and labels"
)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The images of one split, as they lie in files."""

    class_names: tuple[str, ...] | None
    """None if labels are bare numbers."""
    items: Callable[[], Iterable[Encoded]]
    """Every image, in order."""
    files: Sequence[Location] = field(default=())
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
            "Give a Parquet file, a CSV, a folder, or `digits`, which is bundled"
        )
    if path.is_file():
        return _of_file(path, config)
    names = without_runs(names_below(path))
    if lines := metadata_parts(path, names, config):
        return _of_lines(path, lines, config)
    if files := parquet_parts(path, names):
        return _of_parquet(files, config)
    layout = class_folders(str(path), names)
    if not layout.splits:
        found = "neither Parquet nor a folder of class folders" if names else "empty"
        notes = "".join(f"\n{note}" for note in layout.notes)
        raise ValueError(f"data.source {path} is {found}: {LAYOUTS}{notes}")
    return {
        split: Listed(
            class_names=tuple(classes),
            items=partial(_folder_items, path, classes),
            notes=layout.notes,
        )
        for split, classes in layout.splits.items()
    }


def _of_file(path: Location, config: DataConfig) -> dict[str, Listed]:
    if suffix_of(path.name) in TABLES:
        return _of_lines(path, table_parts(path, config), config)
    if is_parquet(path.name):
        return _of_parquet({"train": [path]}, config)
    raise ValueError(
        f"data.source {path} is neither Parquet nor a folder of class folders: "
        f"{LAYOUTS}"
    )


def _of_parquet(
    parts: Mapping[str, list[Location]], config: DataConfig
) -> dict[str, Listed]:
    found = {}
    for split, files in parts.items():
        names = parquet_class_names(files, config)
        items = partial(parquet_items, files, config, names)
        found[split] = Listed(class_names=names, items=items, files=files)
    return found


def _of_lines(
    path: Location, parts: Mapping[str, list[Line]], config: DataConfig
) -> dict[str, Listed]:
    if "train" not in parts:
        raise ValueError(
            f"{path} has no line whose {config.split_column} is train: mark the "
            "training images so, or leave that column out"
        )
    found = {}
    for split, lines in parts.items():
        names = table_class_names(lines)
        items = partial(table_items, lines, names)
        found[split] = Listed(class_names=names, items=items)
    return found


def _folder_items(
    root: Location, classes: Mapping[str, Sequence[str]]
) -> Iterable[Encoded]:
    """Every image, class by class, as a file with the index of its class."""
    for label, names in enumerate(classes.values()):
        for name in names:
            file = root / name
            yield Encoded(str(file), file, label)


@dataclass(frozen=True, eq=False)
class Listing:
    """Every image of class folders to be rewritten, in order of class and name."""

    class_names: tuple[str, ...]
    splits: dict[str, list[tuple[Member, int]]]
    """`train`, and `val` and `test` where they are, with labels."""
    notes: tuple[str, ...]
    """What was skipped or renamed."""

    @property
    def num_images(self) -> int:
        """Images of all splits."""
        return sum(len(images) for images in self.splits.values())

    @property
    def checksum(self) -> str:
        """A hash of names, sizes and labels; not of where the source lies."""
        total = blake2b(repr(self.class_names).encode(), digest_size=16)
        for split, images in self.splits.items():
            for member, label in images:
                line = f"{split} {member.name} {member.size} {label}\n"
                total.update(line.encode(errors="surrogateescape"))
        return total.hexdigest()


def list_source(source: Path, test: Path | None = None) -> Listing:
    """List a folder or tar; `test` is another one whose images are the test split.

    Where a source has `val` and no `test`, as ImageNet has, `val` is the test split.

    Raises:
        ValueError: if a source is missing, has no classes, or splits that differ in
            classes.
    """
    for path in (source, test):
        if path is not None and not path.exists():
            raise ValueError(f"{path} was not found: looked for {path.absolute()}")
    tree = read_tree(source.absolute())
    layout = _layout(source, tree)
    splits = {split: _members(tree, each) for split, each in layout.splits.items()}
    if test is not None:
        if "test" in splits or "val" in splits:
            raise ValueError(f"{source} has a test split of its own: leave out --test")
        splits["test"] = _members_of_test(test)
    elif "test" not in splits and "val" in splits:
        splits["test"] = splits.pop("val")
    names = tuple(splits["train"])
    for split, classes in splits.items():
        _must_agree(source, split, names, tuple(classes))
    if len(names) < 2:
        raise ValueError(
            f"{source} has one class folder, {', '.join(names)!r}: a classifier needs "
            f"two or more, as class/name.jpg{_about_imagenet(tree)}"
        )
    labelled = {
        split: [(m, label) for label, name in enumerate(names) for m in classes[name]]
        for split, classes in splits.items()
    }
    return Listing(names, labelled, layout.notes)


def _layout(source: Path, tree: Tree) -> Layout:
    layout = class_folders(str(source), tree.names)
    if not layout.splits:
        loose = [name for name in tree.names if "/" not in name]
        what = f"; {loose[0]} lies in no class folder" if loose else ""
        raise ValueError(
            f"{source} holds no image in a class folder{what}: give a folder or tar "
            f"with class/name.jpg{_about_imagenet(tree)}"
        )
    return layout


def _members(
    tree: Tree, classes: Mapping[str, Sequence[str]]
) -> dict[str, list[Member]]:
    return {name: [tree.members[f] for f in files] for name, files in classes.items()}


def _members_of_test(test: Path) -> dict[str, list[Member]]:
    tree = read_tree(test.absolute())
    layout = _layout(test, tree)
    if len(layout.splits) > 1:
        raise ValueError(
            f"--test {test} has splits of its own: give the folder of one of them"
        )
    return _members(tree, layout.splits["train"])


def _about_imagenet(tree: Tree) -> str:
    if not any("ILSVRC2012_val_" in name for name in tree.names):
        return ""
    return (
        ". ImageNet's validation images come without classes: unpack them, sort them "
        "into folders named for their synsets (by the ground truth of the development "
        "kit), and give that folder with --test"
    )


def _must_agree(
    source: Path, split: str, train: tuple[str, ...], there: tuple[str, ...]
) -> None:
    if train != there:
        only_train = sorted(set(train) - set(there))[:5]
        only_there = sorted(set(there) - set(train))[:5]
        raise ValueError(
            f"{source}: train and {split} differ in classes, only in train "
            f"{only_train}, only in {split} {only_there}: give both the same"
        )
