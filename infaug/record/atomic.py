"""Files that are either the old or the new one, whatever happens in between."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside `path`, flush to disk, then rename over it.

    Raises:
        OSError: if the disk is full or gone; nothing is left beside `path`.
    """
    temporary = path.with_name(path.name + ".partial")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON; equal values give equal bytes."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """What `write_json` wrote; None if it has written nothing yet."""
    return json.loads(path.read_text()) if path.exists() else None


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Tensors as safetensors; loading them executes nothing."""
    plain = {k: t.detach().cpu().contiguous() for k, t in tensors.items()}
    write_bytes(path, save(plain, metadata=metadata))


GOES_ON = (
    "what was saved before is kept; make room there, and the same command continues"
)


@contextlib.contextmanager
def writing(what: object, remedy: str = GOES_ON) -> Iterator[None]:
    """Around whatever writes; by default into a run's folder, which is named.

    Raises:
        ValueError: if the disk is full or gone. In a run all processes see it: an
            OSError would end this one alone, while the others would wait for it, and
            Ray begin again as if it had died.
    """
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"{what} cannot be written ({error.strerror or error}): {remedy}"
        ) from error
