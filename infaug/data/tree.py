"""Where the encoded images of a source lie: in files, or in pieces of a tar.

A tar is gone through once, header by header. Afterwards a member is a seek and a read,
so that many processes can read from one tar; a compressed one is refused, for there
they could not. Links to folders are followed; hidden files are passed over.
"""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from infaug.data.names import is_hidden, is_image, suffix_of
from infaug.storage import Location

MAGIC = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz"}


class Member(NamedTuple):
    """The bytes of one image."""

    file: str
    """The file they lie in."""
    name: str
    """Path below the source, folders and tars alike: `class/1.jpg`."""
    offset: int
    """Where they begin; 0 only if they are the whole file."""
    size: int
    """How many they are."""

    @property
    def where(self) -> str:
        """What a message should say."""
        return self.file if self.offset == 0 else f"{self.file}: {self.name}"


@dataclass(frozen=True, eq=False)
class Tree:
    """The files of a source by name; folders without a file end in a slash."""

    members: dict[str, Member] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Of files and empty folders."""
        return [*self.members, *self.empty]


def walk(folder: Path) -> Iterator[str]:
    """Names of what lies below a folder, relative to it; empty folders end in a slash.

    Links to folders are followed, each folder once; what is the system's own is passed
    over.

    Raises:
        ValueError: if a folder cannot be read.
    """
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        true = os.path.realpath(root)
        folders[:] = [] if true in seen else sorted(_shown(folders))
        below = "" if root == str(folder) else os.path.relpath(root, folder)
        if true not in seen:
            shown = _shown(files)
            yield from (os.path.join(below, name) for name in shown)
            if below and not (shown or folders):
                yield f"{below}/"
        seen.add(true)


def files_below(folder: Path) -> list[Path]:
    """Files of a folder and of those in it, in order of path, as `walk` sees them."""
    return sorted(folder / name for name in walk(folder) if not name.endswith("/"))


def names_below(folder: Location) -> list[str]:
    """What `walk` gives, of a local folder or an object store.

    Raises:
        ValueError: if it cannot be read, or a name is no UTF-8.
    """
    if not folder.is_local:
        return folder.names_below()
    names = list(walk(Path(folder.base)))
    try:
        "".join(names).encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{folder} holds a name that is no UTF-8 ({error.object[error.start]!r}): "
            "rename it, or write all of it as Parquet with `infaug data prepare`"
        ) from error
    return names


def _refuse(error: OSError) -> None:
    raise ValueError(
        f"{error.filename} cannot be read ({error.strerror}): repair or remove it"
    ) from error


def _shown(names: list[str]) -> list[str]:
    return [name for name in names if not is_hidden(name)]


def read_tree(path: Path) -> Tree:
    """Go through a folder or a tar.

    Raises:
        ValueError: if it is neither, or cannot be read through.
    """
    try:
        return _of_folder(path) if path.is_dir() else _index_tar(path)
    except OSError as error:
        raise ValueError(
            f"{error.filename or path} cannot be read ({error.strerror or error}): "
            "repair or remove it"
        ) from error


def _of_folder(path: Path) -> Tree:
    tree = Tree()
    for name in sorted(walk(path)):
        if name.endswith("/"):
            tree.empty.append(name)
        else:
            file = os.path.join(path, name)
            # A dangling link is an image that is missing; of other files, no matter.
            size = os.stat(file).st_size if is_image(name) else 0
            tree.members[name] = Member(file, name, 0, size)
    return tree


def read_member(member: Member) -> bytes:
    """The encoded image.

    Raises:
        ValueError: if it cannot be read from storage, or is not as it was listed.
    """
    try:
        with open(member.file, "rb") as file:
            if member.offset == 0:
                content = file.read()
            else:
                file.seek(member.offset)
                content = file.read(member.size)
    except OSError as error:
        raise ValueError(
            f"{member.where} cannot be read ({error.strerror or error}): when storage "
            "is well again, the same command continues"
        ) from error
    if len(content) != member.size:
        raise ValueError(
            f"{member.where} had {member.size} bytes when listed and has "
            f"{len(content)} now: do not change the source while it is prepared"
        )
    return content


def _index_tar(path: Path) -> Tree:
    with path.open("rb") as file:
        start = file.read(6)
    for magic, unpack in MAGIC.items():
        if start.startswith(magic):
            raise ValueError(
                f"{path} is compressed, and its members cannot be read side by side: "
                f"unpack it to a plain tar with `{unpack} -k {path}`, and give that"
            )
    tree = Tree()
    try:
        with tarfile.open(path, "r:") as tar:
            _index(tar, str(path), tree)
    except tarfile.TarError as error:
        raise ValueError(
            f"{path} is no whole tar ({error}): give a folder of class folders, or a "
            "tar of them; fetch it again if it was cut short"
        ) from error
    return tree


def _index(tar: tarfile.TarFile, path: str, tree: Tree) -> None:
    """Add every file; a tar in the tar is a class folder, as in ImageNet's."""
    folders: set[str] = set()
    while (entry := tar.next()) is not None:
        tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
        # It would keep a kilobyte for each of a million.
        parts = _parts(entry.name)
        if not parts or any(is_hidden(part) for part in parts):
            continue
        if entry.isdir():
            folders.add("/".join(parts) + "/")
        elif entry.isreg() and suffix_of(parts[-1]) == ".tar":
            _index_inner(tar, entry, path, tree)
        else:
            _refuse_link(entry, path)
            name = "/".join(parts)
            tree.members[name] = Member(path, name, entry.offset_data, entry.size)
    _refuse_cut(tar, path)
    held = {name[: at + 1] for name in tree.members for at in _slashes(name)}
    above = {name[: at + 1] for name in folders for at in _slashes(name[:-1])}
    tree.empty.extend(sorted(folders - held - above))


def _index_inner(
    tar: tarfile.TarFile, outer: tarfile.TarInfo, path: str, tree: Tree
) -> None:
    *above, stem = _parts(outer.name)
    folder = "/".join((*above, stem[: -len(".tar")]))
    with tarfile.open(fileobj=tar.extractfile(outer), mode="r:") as inner:
        for entry in inner:
            file = PurePosixPath(entry.name).name
            if entry.isdir() or is_hidden(file):
                continue
            _refuse_link(entry, f"{path}: {outer.name}")
            start = outer.offset_data + entry.offset_data
            name = f"{folder}/{file}"
            tree.members[name] = Member(path, name, start, entry.size)
        _refuse_cut(inner, f"{path}: {outer.name}")


def _refuse_cut(tar: tarfile.TarFile, name: str) -> None:
    """After the last member: tarfile takes a header it cannot read for the end."""
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"{name} has no end mark")


def _refuse_link(entry: tarfile.TarInfo, path: str) -> None:
    if is_image(entry.name) and (not entry.isreg() or entry.issparse()):
        raise ValueError(
            f"{path}: {entry.name} is a link or a sparse file, not the image itself: "
            "pack the tar again with `tar --dereference --hard-dereference`"
        )


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in PurePosixPath(name).parts if part not in ("/", "."))


def _slashes(name: str) -> list[int]:
    return [at for at, letter in enumerate(name) if letter == "/"]
