"""Images in folders named for their class: `class/name.jpg`.

Or, with splits, `train/class/name.jpg`, and `val` and `test` likewise. Classes and
files are taken in order of name; hidden files and files that are not named like images
are passed over.
"""

import warnings
from collections.abc import Iterator

from infaug.data.decode import Encoded
from infaug.data.split_names import SPLIT_NAMES
from infaug.storage import Location

SUFFIXES = frozenset(
    ".bmp .gif .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split()  # noqa: SIM905
)


def folder_parts(root: Location) -> dict[str, Location]:
    """The folders of `train`, and of `val` and `test` where there are such.

    Empty without classes. `train` is a split only if it holds folders: it may also be
    the class of trains. Folders beside the splits are named in a warning.

    Raises:
        ValueError: if two folders are the same split under two names.
    """
    if not _subfolders(root / "train"):
        return {"train": root} if _subfolders(root) else {}
    parts: dict[str, Location] = {}
    others = []
    for folder in _subfolders(root):
        split = SPLIT_NAMES.get(folder.name)
        if split is None or (split == "train" and folder.name != "train"):
            others.append(folder.name)
        elif split in parts:
            raise ValueError(
                f"{root} has both {parts[split].name} and {folder.name}: join them, or "
                "take one away"
            )
        else:
            parts[split] = folder
    if others:
        warnings.warn(
            f"{root}: only train, val and test are used, not {', '.join(others)}",
            stacklevel=2,
        )
    return {split: parts[split] for split in ("train", "val", "test") if split in parts}


def folder_class_names(folder: Location) -> tuple[str, ...]:
    """The names of the class folders, sorted.

    Raises:
        ValueError: if a class folder holds no image.
    """
    classes = _subfolders(folder)
    for each in classes:
        if not _images(each):
            raise ValueError(
                f"class folder {each} holds no image ({', '.join(sorted(SUFFIXES))}): "
                "add images or remove the folder"
            )
    return tuple(each.name for each in classes)


def folder_items(folder: Location, class_names: tuple[str, ...]) -> Iterator[Encoded]:
    """Every image, class by class, as a file with the index of its class."""
    for label, name in enumerate(class_names):
        for file in _images(folder / name):
            yield Encoded(str(file), file, label)


def _subfolders(folder: Location) -> list[Location]:
    return [each for each in folder.folders() if not each.name.startswith(".")]


def _images(folder: Location) -> list[Location]:
    return [
        file
        for file in folder.files()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    ]
