"""Where the images of a table lie, which may not be where its cells say."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import takewhile
from pathlib import PurePosixPath

from infaug.data.names import SUFFIXES, is_image, suffix_of
from infaug.data.tree import source_files
from infaug.storage import Location, is_url, location


def finder(table: Location) -> Callable[[str, str], tuple[Location, bool]]:
    """Where the image of a cell lies, and whether that is not where the cell says.

    An ending may be left out. A file that is missing is looked for below the table's
    folder: the only one with the longest tail of the path in common is taken.
    """

    @cache
    def below() -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name in source_files(table.parent):
            if is_image(name):
                found[PurePosixPath(name).stem].append(name)
        return found

    def find(where: str, path: str) -> tuple[Location, bool]:
        if is_url(path):
            return location(path), False
        is_drive = path[1:3] in (":\\", ":/") and path[0].isalpha()
        if "/" not in path:
            path = path.replace("\\", "/")
        file = location(path) if path.startswith("/") else table.parent / path
        has_suffix = suffix_of(path) in SUFFIXES
        if has_suffix and not (is_drive or (file.is_local and not file.is_file())):
            return file, False
        if name := _longest_tail(path if has_suffix else f"{path}.*", below()):
            found = table.parent / name
            return found, has_suffix or found.parent != file.parent
        if is_drive:
            raise ValueError(
                f"{where} has {path!r}, a path of a Windows drive: write paths "
                "relative to the table"
            )
        return file, False

    return find


def _longest_tail(path: str, below: Mapping[str, Sequence[str]]) -> str | None:
    """The one name that has the most last parts in common with a path, if any.

    >>> _longest_tail("/there/cat/1.*", {"1": ["a/cat/1.jpg", "a/dog/1.jpg"]})
    'a/cat/1.jpg'
    """
    wanted = PurePosixPath(path)
    shared: dict[int, list[str]] = defaultdict(list)
    for name in below.get(wanted.stem, ()):
        found = PurePosixPath(name)
        if wanted.suffix in (".*", found.suffix):
            folders = zip(wanted.parts[-2::-1], found.parts[-2::-1], strict=False)
            same = takewhile(lambda pair: pair[0] == pair[1], folders)
            shared[sum(1 for _ in same)].append(name)
    best = shared[max(shared)] if shared else []
    return best[0] if len(best) == 1 else None
