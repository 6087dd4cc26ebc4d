"""Checkpoints: one safetensors file each, atomic, the last two kept.

A checkpoint holds tensors and, as metadata, where it was taken and the length of
metrics.jsonl at that moment. There is no random state: see `infaug.randomness`.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from infaug.record.atomic import write_tensors
from infaug.record.steps import Position

KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """What a training continues from."""

    position: Position
    metrics_bytes: int
    """Length of metrics.jsonl when this was taken; the rest is repeated."""
    tensors: dict[str, Tensor]


def save_checkpoint(
    folder: Path, position: Position, metrics_bytes: int, tensors: Mapping[str, Tensor]
) -> None:
    """Write a new checkpoint, then remove all but the last `KEPT`."""
    folder.mkdir(exist_ok=True)
    older = _numbered(folder)
    number = older[-1][0] + 1 if older else 0
    about = json.dumps({"place": asdict(position), "metrics_bytes": metrics_bytes})
    write_tensors(folder / f"{number:06d}.safetensors", tensors, {"infaug": about})
    for _, path in older[: -(KEPT - 1)]:
        path.unlink()


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be read, or None if there is none at all.

    A damaged one is passed over with a warning.

    Raises:
        ValueError: if there are checkpoints and none can be read.
    """
    numbered = _numbered(folder)
    for _, path in reversed(numbered):
        try:
            return _read(path)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            warnings.warn(
                f"{path} cannot be read ({error}); the one before it is used",
                stacklevel=2,
            )
    if numbered:
        raise ValueError(
            f"no checkpoint in {folder} can be read: delete that folder to begin this "
            "training again, finished ones are kept"
        )
    return None


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    paths = folder.glob("*.safetensors")
    return sorted((int(p.stem), p) for p in paths if p.stem.isdecimal())


def _read(path: Path) -> Checkpoint:
    with safe_open(path, "pt") as file:
        about = json.loads((file.metadata() or {})["infaug"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return Checkpoint(Position(**about["place"]), about["metrics_bytes"], tensors)
