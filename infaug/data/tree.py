"""Where the encoded images of a source lie: in files, or in pieces of a tar.

A tar is gone through once, header by header. Afterwards a member is a seek and a read,
so that many processes can read from one tar; a compressed one is refused, for there
they could not. Links to folders are followed; hidden files are passed over.
"""

import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from infaug.data.folder import SUFFIXES

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
    """Images by folder, as path below the source; folders may be empty."""

    folders: dict[tuple[str, ...], list[Member]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    """Files that are not named like images."""

    def add(self, folder: tuple[str, ...], member: Member) -> None:
        """Add a file to a folder; an image if it is named like one."""
        images = self.folders.setdefault(folder, [])
        if _suffix(member.name) in SUFFIXES:
            images.append(member)
        else:
            self.others.append(member.where)


def files_below(folder: Path) -> list[Path]:
    """Files of a folder and of those in it, in order of path, seen as `read_tree` does.

    Links to folders are followed, each folder once; hidden names passed over.

    Raises:
        ValueError: if a folder cannot be read.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        true = os.path.realpath(root)
        folders[:] = [] if true in seen else sorted(_shown(folders))
        if true not in seen:
            found += [Path(root, name) for name in _shown(files)]
        seen.add(true)
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise ValueError(
        f"{error.filename} cannot be read ({error.strerror}): repair or remove it"
    ) from error


def _shown(names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def read_tree(path: Path) -> Tree:
    """Go through a folder or a tar.

    Raises:
        ValueError: if it is neither, or cannot be read through.
    """
    try:
        if path.is_dir():
            tree = Tree()
            _walk(path, (), tree)
            return tree
        return _index_tar(path)
    except OSError as error:
        raise ValueError(
            f"{error.filename or path} cannot be read ({error.strerror or error}): "
            "repair or remove it"
        ) from error


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


def _walk(folder: Path, parts: tuple[str, ...], tree: Tree) -> None:
    tree.folders[parts] = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            _walk(Path(entry.path), (*parts, entry.name), tree)
        else:
            name = "/".join((*parts, entry.name))
            # A dangling link is an image that is missing; of other files, no matter.
            is_image = _suffix(entry.name) in SUFFIXES
            size = entry.stat().st_size if is_image else 0
            tree.add(parts, Member(entry.path, name, 0, size))


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
    while (entry := tar.next()) is not None:
        tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
        # It would keep a kilobyte for each of a million.
        parts = _parts(entry.name)
        if not parts or any(part.startswith(".") for part in parts):
            continue
        if entry.isdir():
            tree.folders.setdefault(parts, [])
        elif entry.isreg() and _suffix(parts[-1]) == ".tar":
            _index_inner(tar, entry, path, tree)
        else:
            _refuse_link(entry, path)
            member = Member(path, "/".join(parts), entry.offset_data, entry.size)
            tree.add(parts[:-1], member)
    _refuse_cut(tar, path)


def _index_inner(
    tar: tarfile.TarFile, outer: tarfile.TarInfo, path: str, tree: Tree
) -> None:
    *above, name = _parts(outer.name)
    folder = (*above, name[: -len(".tar")])
    tree.folders.setdefault(folder, [])
    with tarfile.open(fileobj=tar.extractfile(outer), mode="r:") as inner:
        for entry in inner:
            file = PurePosixPath(entry.name).name
            if entry.isdir() or file.startswith("."):
                continue
            _refuse_link(entry, f"{path}: {outer.name}")
            start = outer.offset_data + entry.offset_data
            tree.add(folder, Member(path, "/".join((*folder, file)), start, entry.size))
        _refuse_cut(inner, f"{path}: {outer.name}")


def _refuse_cut(tar: tarfile.TarFile, name: str) -> None:
    """After the last member: tarfile takes a header it cannot read for the end."""
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"{name} has no end mark")


def _refuse_link(entry: tarfile.TarInfo, path: str) -> None:
    if _suffix(entry.name) in SUFFIXES and (not entry.isreg() or entry.issparse()):
        raise ValueError(
            f"{path}: {entry.name} is a link or a sparse file, not the image itself: "
            "pack the tar again with `tar --dereference --hard-dereference`"
        )


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in PurePosixPath(name).parts if part not in ("/", "."))


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
