"""What a source to be prepared holds: splits, classes, and where every image lies.

`class/name.jpg`, or `train/class/name.jpg` with `test/` or `val/` beside it, in a
folder or a tar, with any folders above that all images share. ImageNet's training tar,
a tar of a tar for each class, is such a source too.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from infaug.data.tree import Member, Tree, read_tree

Folders = Mapping[tuple[str, ...], list[Member]]


@dataclass(frozen=True, eq=False)
class Listing:
    """Every image of a source with its label, in order of class and name."""

    class_names: tuple[str, ...]
    splits: dict[str, list[tuple[Member, int]]]
    """`train` and, if there is one, `test`."""
    others: list[str]
    """Files that are passed over: they are not named like images."""

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

    Raises:
        ValueError: if a source is missing, has no classes or an empty one, an image in
            no class, or splits that differ in classes.
    """
    for path in (source, test):
        if path is not None and not path.exists():
            raise ValueError(f"{path} was not found: looked for {path.absolute()}")
    tree = read_tree(source.absolute())
    splits = _splits(source, tree)
    if test is not None:
        _add_test(splits, source, test)
    names = {split: _class_names(source, classes) for split, classes in splits.items()}
    if "test" in names:
        _must_agree(source, names["train"], names["test"])
    if len(names["train"]) < 2:
        raise ValueError(
            f"{source} has one class folder, {', '.join(names['train'])!r}: a "
            f"classifier needs two or more, as class/name.jpg{_about_imagenet(tree)}"
        )
    return Listing(names["train"], _labelled(splits, names["train"]), tree.others)


def _splits(source: Path, tree: Tree) -> dict[str, dict[str, list[Member]]]:
    """Images by split and class."""
    folders = _below_shared(source, tree)
    tops = {parts[0] for parts, images in folders.items() if parts and images}
    is_split = any(p[0] == "train" and len(p) > 1 and i for p, i in folders.items())
    if not is_split:
        return {"train": _classes(source, folders, tree)}
    second = "test" if "test" in tops else "val"
    if unused := sorted(tops - {"train", second}):
        warnings.warn(
            f"{source}: only train and {second} are used, not {', '.join(unused)}",
            stacklevel=3,
        )
    return {
        split: _classes(source, below, tree)
        for split, top in (("train", "train"), ("test", second))
        if (below := {p[1:]: i for p, i in folders.items() if p[0] == top})
    }


def _below_shared(source: Path, tree: Tree) -> Folders:
    """The folders below those that all images share, but for their class's."""
    above = [parts[:-1] for parts, images in tree.folders.items() if images]
    if not above:
        raise ValueError(
            f"{source} holds no image: give a folder or tar with class/name.jpg"
        )
    first, last = min(above), max(above)
    same = [a == b for a, b in zip(first, last, strict=False)]
    depth = (*same, False).index(False)
    found = {
        parts[depth:]: images
        for parts, images in tree.folders.items()
        if parts[:depth] == first[:depth] and (len(parts) > depth or images)
    }
    _refuse_loose(source, found.get((), []), tree)
    return found


def _classes(source: Path, folders: Folders, tree: Tree) -> dict[str, list[Member]]:
    _refuse_loose(source, folders.get((), []), tree)
    for parts, images in folders.items():
        if len(parts) > 1 and images:
            raise ValueError(
                f"{source}: {images[0].name} lies in a folder of a class folder: put "
                "images as class/name.jpg, or with train/, test/ or val/ above"
            )
    return {parts[0]: images for parts, images in folders.items() if len(parts) == 1}


def _refuse_loose(source: Path, images: list[Member], tree: Tree) -> None:
    if images:
        raise ValueError(
            f"{source}: {images[0].name} lies in no class folder: put images as "
            f"class/name.jpg{_about_imagenet(tree)}"
        )


def _about_imagenet(tree: Tree) -> str:
    files = (image.name for images in tree.folders.values() for image in images)
    if not any("ILSVRC2012_val_" in name for name in files):
        return ""
    return (
        ". ImageNet's validation images come without classes: unpack them, sort them "
        "into folders named for their synsets (by the ground truth of the development "
        "kit), and give that folder with --test"
    )


def _add_test(
    splits: dict[str, dict[str, list[Member]]], source: Path, test: Path
) -> None:
    if "test" in splits:
        raise ValueError(f"{source} has a test split of its own: leave out --test")
    found = _splits(test, read_tree(test.absolute()))
    if "test" in found:
        raise ValueError(
            f"--test {test} has splits of its own: give the folder of one of them"
        )
    splits["test"] = found["train"]


def _class_names(source: Path, classes: Mapping[str, list[Member]]) -> tuple[str, ...]:
    for name, images in classes.items():
        if not images:
            raise ValueError(
                f"{source}: class folder {name!r} holds no image: add images or remove "
                "the folder"
            )
    return tuple(sorted(classes))


def _must_agree(source: Path, train: tuple[str, ...], test: tuple[str, ...]) -> None:
    if train != test:
        only_train = sorted(set(train) - set(test))[:5]
        only_test = sorted(set(test) - set(train))[:5]
        raise ValueError(
            f"{source}: train and test differ in classes, only in train {only_train}, "
            f"only in test {only_test}: give both the same"
        )


def _labelled(
    splits: Mapping[str, Mapping[str, list[Member]]], class_names: tuple[str, ...]
) -> dict[str, list[tuple[Member, int]]]:
    return {
        split: [
            (member, label)
            for label, name in enumerate(class_names)
            for member in sorted(classes[name], key=lambda member: member.name)
        ]
        for split, classes in splits.items()
    }
