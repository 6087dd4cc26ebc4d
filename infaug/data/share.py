"""Images on disk that the processes of a world share: each holds some, decoded.

A process reads all that it needs together and keeps it as files on its local disk, from
where later starts map it into memory. Sets in memory are whole in every process: of
those only the work is shared.
"""

import contextlib
import errno
import os
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np
import PIL
import torch
from jaxtyping import UInt8
from torch import Tensor

from infaug.cache import cache_folder
from infaug.data.dataset import Labelled
from infaug.data.on_disk import Held, ImageSet, OnDisk, decode_together
from infaug.world import World

CHUNK = 250  # images that go through F together for s_val; fixed, so that bytes are
SAMPLE = 1000
MAX_KEPT = 64 * 2**30  # bytes on a machine; what was not used for longest goes first


def local_part(split: ImageSet, world: World, unit: int = 1) -> Labelled:
    """The images of a split that this process works on, in whole units, in rank order.

    Of a split on disk they are those it holds; if it holds none, they are decoded now.
    """
    rows = local_rows(split, world, unit)
    if isinstance(split, Labelled):
        part = slice(rows.start, rows.stop)
        return Labelled(split.images[part], split.labels[part], split.class_names)
    if split.held is not None and split.held.world == world:
        return split.held.images
    return _kept([_part(split, rows)])[0]


def local_rows(split: ImageSet, world: World, unit: int = 1) -> range:
    """Which images of a split those of `local_part` are."""
    held = split.held if isinstance(split, OnDisk) else None
    if held is not None and held.world == world:
        return held.rows
    return world.rows(len(split), unit)


def hold(splits: Sequence[tuple[ImageSet, int]], world: World) -> list[ImageSet]:
    """The splits, each with its unit; those on disk with this process's part held."""
    on_disk = [
        (n, split, world.rows(len(split), unit))
        for n, (split, unit) in enumerate(splits)
        if isinstance(split, OnDisk)
    ]
    held = [split for split, _ in splits]
    parts = _kept([_part(split, rows) for _, split, rows in on_disk])
    for (n, split, rows), images in zip(on_disk, parts, strict=True):
        held[n] = replace(split, held=Held(world, rows, images))
    return held


def hold_for_now(split: OnDisk, world: World, unit: int) -> OnDisk:
    """The same for images that no later start will need: no file is made."""
    rows = world.rows(len(split), unit)
    return replace(split, held=Held(world, rows, _part(split, rows).select_all()))


def sample_of(images: OnDisk) -> OnDisk:
    """A thousand images, spread out."""
    step = max(len(images) // SAMPLE, 1)
    return images.part(torch.arange(0, len(images), step)[:SAMPLE])


def sample(
    images: ImageSet, world: World, device: torch.device
) -> UInt8[Tensor, "n C H W"]:
    """All images of a set in memory; of one on disk `sample_of`, on the CPU.

    All processes of the world call this together, and decode a part of them each.
    """
    if isinstance(images, Labelled):
        return images.images
    own = world.each(partial(local_part, sample_of(images), world))
    return world.gather(own.images.to(device)).cpu()


def _part(split: OnDisk, rows: range) -> OnDisk:
    return split.part(torch.arange(rows.start, rows.stop))


def _kept(parts: Sequence[OnDisk]) -> list[Labelled]:
    """The images of parts: from files, and what is new read together into files."""
    files = [_file_of(part) for part in parts]
    found = [_read(file, part) for file, part in zip(files, parts, strict=True)]
    missing = [n for n, images in enumerate(found) if images is None]
    for reader in {id(parts[n].reader) for n in missing}:
        of_set = [n for n in missing if id(parts[n].reader) == reader]
        decoded = decode_together([parts[n] for n in of_set])
        for n, images in zip(of_set, decoded, strict=True):
            found[n] = _write(files[n], images, parts[n])
    return [
        Labelled(images, part.labels, part.class_names)
        for images, part in zip(found, parts, strict=True)
        if images is not None
    ]


def _file_of(part: OnDisk) -> Path:
    """Named for all that decides the pixels."""
    reader, total = part.reader, blake2b(digest_size=16)
    how = (reader.size, reader.mode, reader.pixel_bits, reader.centre_crop)
    total.update(f"{how} Pillow {PIL.__version__}".encode())
    used = zip(reader.groups, part.positions_by_group(), strict=True)
    stamps: dict[str, str] = {}
    for group, positions in used:
        if len(positions):
            file = group.file
            if file.url not in stamps:
                stamps[file.url] = file.stamp
            name = f"{file.url} {stamps[file.url]} {group.columns.image}"
            total.update(f"{name} {group.number}".encode())
            total.update((positions - group.first).numpy().data)
    return cache_folder() / "images" / f"{total.hexdigest()}.npy"


def _read(file: Path, part: OnDisk) -> UInt8[Tensor, "n C H W"] | None:
    """What the file of a part holds, mapped into memory; None if there is none."""
    shape = (len(part), *part.image_shape)
    if not len(part):
        return torch.empty(shape, dtype=torch.uint8)
    try:
        images = np.load(file, mmap_mode="c")
        os.utime(file)
    except (OSError, ValueError):
        return None
    return torch.from_numpy(images) if images.shape == shape else None


def _write(
    file: Path, images: UInt8[Tensor, "n C H W"], part: OnDisk
) -> UInt8[Tensor, "n C H W"]:
    """The same images, in a file if there is room for one."""
    unfinished = file.with_suffix(f".{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _make_room(file.parent, images.nbytes)
        with unfinished.open("wb") as to:
            np.save(to, images.numpy())
        unfinished.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        warnings.warn(
            f"decoded images are not kept in {file.parent} ({error.strerror or error})"
            ": the next start reads them again; XDG_CACHE_HOME names another folder",
            stacklevel=2,
        )
    written = _read(file, part)
    return images if written is None else written


def _make_room(folder: Path, num_bytes: int) -> None:
    files = [(each.stat(), each) for each in folder.glob("*.npy")]
    total = sum(stat.st_size for stat, _ in files) + num_bytes
    for stat, file in sorted(files, key=lambda each: each[0].st_mtime):
        if total <= MAX_KEPT:
            break
        file.unlink(missing_ok=True)
        total -= stat.st_size
    if shutil.disk_usage(folder).free < 2 * num_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
