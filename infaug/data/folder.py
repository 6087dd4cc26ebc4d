"""Images in folders named for their class: `class/name.jpg`.

Or, with a test split, `train/class/name.jpg` and `test/class/name.jpg`. Classes and
files are taken in order of name; hidden files and files that are not named like images
are passed over.
"""

import warnings
from collections.abc import Iterator

from infaug.data.decode import Encoded
from infaug.storage import Location

SUFFIXES = frozenset(
    ".bmp .gif .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split()  # noqa: SIM905
)


def folder_parts(root: Location) -> dict[str, Location]:
    """The folders of `train` and, if there is one, of `test`; empty without classes.

    `train` is a split only if it holds folders: it may also be the class of trains.
    Folders beside the splits are named in a warning.
    """
    if not _subfolders(root / "train"):
        return {"train": root} if _subfolders(root) else {}
    others = [f.name for f in _subfolders(root) if f.name not in ("train", "test")]
    if others:
        warnings.warn(
            f"{root}: only train and test are used, not {', '.join(others)}",
            stacklevel=2,
        )
    parts = {"train": root / "train", "test": root / "test"}
    return {split: folder for split, folder in parts.items() if folder.is_dir()}


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
