"""What names of files, folders, splits and classes mean, in every kind of source."""

import math
import re
import unicodedata
from collections.abc import Iterable

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
}  # fmt: skip
SUFFIXES = frozenset((
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
))  # fmt: skip
UNREAD = {
    suffix: f"convert {suffix} to JPEG or PNG first"
    for suffix in (".heic", ".heif", ".raw", ".dng", ".nef", ".cr2", ".arw", ".svg")
} | {
    ".zip": "unzip it first",
    ".tar": "unpack it first; WebDataset is not read",
    ".arrow": "write it with Dataset.to_parquet of `datasets`",
    ".tfrecord": "write its images as files or Parquet",
    ".npy": "give arrays as tensors in Python",
    ".npz": "give arrays as tensors in Python",
}
SYSTEM_FOLDERS = frozenset(("@eadir", "__macosx", "#recycle", "$recycle.bin"))
SYSTEM_FILES = frozenset(("thumbs.db", "desktop.ini"))
NO_LABEL = frozenset(("", "nan", "<na>", "n/a", "null"))


def split_of(name: str) -> str | None:
    """The split that a folder or cell names, in any spelling; None: not a split.

    >>> split_of("Training"), split_of("dev"), split_of("cat")
    ('train', 'val', None)
    """
    return SPLIT_NAMES.get(name.strip().lower())


def split_in(name: str) -> str | None:
    """The split that a word of a name says, if there is one alone.

    >>> split_in("mnist_test.parquet"), split_in("training_set"), split_in("device.pq")
    ('test', 'train', None)
    """
    words = re.split(r"[^a-z]+", name.lower())
    found = {split_of(word.removesuffix("set")) for word in words} - {None}
    return found.pop() if len(found) == 1 else None


def is_hidden(name: str) -> bool:
    """Whether a file or folder is the system's own: no person put it there as data."""
    lower = name.lower()
    return name.startswith(".") or lower in SYSTEM_FOLDERS or lower in SYSTEM_FILES


def suffix_of(name: str) -> str:
    """In lower case, with its dot; empty without one."""
    start, dot, end = name.rpartition("/")[2].rpartition(".")
    return f".{end.lower()}" if dot and start else ""


def is_image(name: str) -> bool:
    """Whether a file is named like an image that can be decoded."""
    return suffix_of(name) in SUFFIXES


def is_parquet(name: str) -> bool:
    """Whether a file is named like Parquet."""
    return suffix_of(name) in (".parquet", ".pq")


def class_label(text: str) -> str:
    """A class's name as it is compared: accents composed (NFC), 3.0 as 3.

    >>> class_label("3.0"), class_label("a.0")
    ('3', 'a.0')
    """
    text = unicodedata.normalize("NFC", text)
    return text.partition(".")[0] if re.fullmatch(r"\d+\.0+", text) else text


def ordered_names(found: Iterable[str]) -> tuple[str, ...]:
    """Class names in order of number if all are whole numbers, else of name.

    >>> ordered_names({"10", "9"}), ordered_names({"b", "a"})
    (('9', '10'), ('a', 'b'))
    """
    names = set(found)
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def is_no_label(label: object) -> bool:
    """Whether a cell says that there is no label: empty, or what tools write for it."""
    if isinstance(label, float):
        return math.isnan(label)
    return label is None or str(label).strip().lower() in NO_LABEL
