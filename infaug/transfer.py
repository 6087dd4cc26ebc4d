"""Whole files to and from storage: one that is there is complete.

Object stores show an object when its upload is done. Elsewhere a file is written under
another name and renamed.
"""

import tempfile
from pathlib import Path

from pyarrow import fs

from infaug.storage import Location, reaching

PARTIAL = ".partial"


def put(file: Path, place: Location) -> None:
    """Upload a file.

    Raises:
        ValueError: if that fails; what was there before is then still there.
    """
    system, path = place.opened
    with reaching(place):
        if isinstance(system, fs.S3FileSystem | fs.GcsFileSystem):
            _copy(_LOCAL, str(file), system, path)
            return
        system.create_dir(path.rpartition("/")[0], recursive=True)
        _copy(_LOCAL, str(file), system, path + PARTIAL)
        system.move(path + PARTIAL, path)


def put_bytes(content: bytes, place: Location) -> None:
    """Upload a few bytes; likewise."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "content"
        file.write_bytes(content)
        put(file, place)


def fetch(place: Location, file: Path) -> None:
    """Download a file, whole or not at all.

    Raises:
        ValueError: if that fails.
    """
    system, path = place.opened
    partial = file.with_name(file.name + PARTIAL)
    partial.parent.mkdir(parents=True, exist_ok=True)
    with reaching(place):
        _copy(system, path, _LOCAL, str(partial))
    partial.replace(file)


def remove(place: Location) -> None:
    """Remove a file, or a folder and all that it holds, if it is there.

    Raises:
        ValueError: if that fails.
    """
    system, path = place.opened
    with reaching(place):
        if place.is_file():
            system.delete_file(path)
        elif place.is_dir():
            system.delete_dir(path)


_LOCAL = fs.LocalFileSystem()


def _copy(source: fs.FileSystem, path: str, target: fs.FileSystem, to: str) -> None:
    """In pyarrow's own threads: an interrupt never leaves half an object."""
    fs.copy_files(path, to, source_filesystem=source, destination_filesystem=target)
