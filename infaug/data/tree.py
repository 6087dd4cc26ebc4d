"""The files of a source by name: those below a folder or store, or inside a tar.

A tar is gone through once, header by header; afterwards a member is a seek and a read,
from any process. A compressed one is refused, for there it could not be. Links to
folders are followed; hidden files are passed over.
"""

import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn

from infaug.data.names import is_hidden, is_image, suffix_of
from infaug.storage import Location

MAGIC = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz"}


class Member(NamedTuple):
    """A file inside a tar."""

    file: Location
    """The tar."""
    name: str
    offset: int
    """Where its bytes begin."""
    size: int
    """How many they are."""

    is_local = True

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"

    def read_bytes(self) -> bytes:
        """What it holds."""
        try:
            with open(self.file.base, "rb") as file:
                file.seek(self.offset)
                return file.read(self.size)
        except OSError as error:
            raise ValueError(f"{self} cannot be read ({error.strerror})") from error


def source_files(path: Location) -> Mapping[str, Location | Member]:
    """Every file of a source by its name there; empty folders end in a slash."""
    if path.is_file():
        return _index_tar(path)
    if not path.is_local:
        return {name: path / name for name in path.names_below()}
    names = sorted(walk(Path(path.base)))
    try:
        "".join(names).encode()
    except UnicodeEncodeError as error:
        wrong = next(name for name in names if not name.isprintable())
        raise ValueError(
            f"{path} holds a name that is no UTF-8 ({wrong!r}): rename it"
        ) from error
    return {name: path / name for name in names}


def walk(folder: Path) -> Iterator[str]:
    """Names of what lies below a folder, relative to it; empty folders end in a slash.

    Links to folders are followed, each folder once; what is the system's own is passed
    over.
    """
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        true = os.path.realpath(root)
        folders[:] = [] if true in seen else sorted(_visible(folders))
        below = "" if root == str(folder) else os.path.relpath(root, folder)
        if true not in seen:
            visible = _visible(files)
            yield from (os.path.join(below, name) for name in visible)
            if below and not (visible or folders):
                yield f"{below}/"
        seen.add(true)


def files_below(folder: Path) -> list[Path]:
    """Files of a folder and of those in it, in order of path, as `walk` sees them."""
    return sorted(folder / name for name in walk(folder) if not name.endswith("/"))


def _refuse(error: OSError) -> NoReturn:
    raise ValueError(
        f"{error.filename} cannot be read ({error.strerror}): repair or remove it"
    ) from error


def _visible(names: list[str]) -> list[str]:
    return [name for name in names if not is_hidden(name)]


def _index_tar(path: Location) -> dict[str, Location | Member]:
    try:
        with open(path.base, "rb") as file:
            start = file.read(6)
        for magic, unpack in MAGIC.items():
            if start.startswith(magic):
                raise ValueError(
                    f"{path} is compressed, and its members cannot be read side by "
                    f"side: unpack it with `{unpack} -k {path}`, and give the plain tar"
                )
        with tarfile.open(path.base, "r:") as tar:
            return _members(tar, path)
    except tarfile.TarError as error:
        raise ValueError(
            f"{path} is no whole tar ({error}): give a folder of class folders, or a "
            "tar of them; fetch it again if it was cut short"
        ) from error
    except OSError as error:
        _refuse(error)


def _members(tar: tarfile.TarFile, path: Location) -> dict[str, Location | Member]:
    """Every file; a tar in the tar is a class folder, as in ImageNet's."""
    found: dict[str, Location | Member] = {}
    folders: set[str] = set()
    while (entry := tar.next()) is not None:
        tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
        # It would keep a kilobyte for each of a million.
        parts = PurePosixPath(entry.name.lstrip("/")).parts
        if not parts or any(map(is_hidden, parts)):
            continue
        name = "/".join(parts)
        if entry.isdir():
            folders.add(f"{name}/")
        elif entry.isreg() and suffix_of(name) == ".tar":
            with tarfile.open(fileobj=tar.extractfile(entry), mode="r:") as inner:
                for member in _flat_members(inner, path, entry.offset_data):
                    inside = f"{name.removesuffix('.tar')}/{member.name}"
                    found[inside] = member._replace(name=inside)
        else:
            _refuse_link(entry, path)
            found[name] = Member(path, name, entry.offset_data, entry.size)
    _refuse_cut(tar, path)
    names = [*found, *(name[:-1] for name in folders)]
    filled = {f"{above}/" for name in names for above in PurePosixPath(name).parents}
    return found | dict.fromkeys(sorted(folders - filled), path)


def _flat_members(tar: tarfile.TarFile, path: Location, start: int) -> Iterator[Member]:
    """The files of a tar that begins at `start` of the one at `path`."""
    for entry in tar:
        name = PurePosixPath(entry.name).name
        if entry.isdir() or is_hidden(name):
            continue
        _refuse_link(entry, path)
        yield Member(path, name, start + entry.offset_data, entry.size)
    _refuse_cut(tar, path)


def _refuse_cut(tar: tarfile.TarFile, path: Location) -> None:
    """After the last member: tarfile takes a header it cannot read for the end."""
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"{path} has no end mark")


def _refuse_link(entry: tarfile.TarInfo, path: Location) -> None:
    if is_image(entry.name) and (not entry.isreg() or entry.issparse()):
        raise ValueError(
            f"{path}: {entry.name} is a link or a sparse file, not the image itself: "
            "pack the tar again with `tar --dereference --hard-dereference`"
        )
