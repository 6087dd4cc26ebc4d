"""What names of files, folders, splits and classes mean, in every kind of source."""

import math
import unicodedata
from collections.abc import Iterable

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
SUFFIXES = frozenset(
    ".avif .bmp .gif .jfif .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split()  # noqa: SIM905
)
UNREAD = {
    suffix: f"convert {suffix} to JPEG or PNG first"
    for suffix in (".heic", ".heif", ".raw", ".dng", ".nef", ".cr2", ".arw", ".svg")
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


def split_of_file(name: str) -> str | None:
    """The split that a file's name begins with.

    >>> split_of_file("validation-00000-of-00002.parquet"), split_of_file("device.pq")
    ('val', None)
    """
    lower = name.lower()
    for word in ("train", "val", "test"):
        if lower.startswith(word):
            return word
    is_dev = lower.startswith("dev") and not lower[3:4].isalpha()
    return "val" if is_dev else None


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


def composed(name: str) -> str:
    """A name in which every letter is one with its accents (Unicode NFC)."""
    return unicodedata.normalize("NFC", name)


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
