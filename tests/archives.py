"""Tars of class folders, as they come."""

import io
import tarfile
from pathlib import Path

import numpy as np
import reading
from PIL import Image


def encoded(seed: int, kind: str = "PNG", size: tuple[int, int] = (12, 9)) -> bytes:
    """An encoded image of noise, another one for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)
    return reading.encoded(Image.fromarray(pixels), kind)


def class_files(*classes: str, count: int = 4, above: str = "") -> dict[str, bytes]:
    """{above/class/k.png: bytes}, all different."""
    return {
        f"{above}{name}/{k}.png": encoded(sum(map(ord, above + name)) * 100 + k)
        for name in classes
        for k in range(count)
    }


def write_files(root: Path, files: dict[str, bytes]) -> Path:
    """The files below a folder."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def tar_bytes(files: dict[str, bytes], folders: tuple[str, ...] = ()) -> bytes:
    """A plain tar of files, and of folders that may be empty."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def imagenet_tar(files: dict[str, bytes]) -> bytes:
    """A tar with a tar for each class."""
    classes = sorted({name.split("/")[0] for name in files})
    inner = {
        f"{each}.tar": tar_bytes(
            {n.split("/")[1]: c for n, c in files.items() if n.startswith(f"{each}/")}
        )
        for each in classes
    }
    return tar_bytes(inner)
