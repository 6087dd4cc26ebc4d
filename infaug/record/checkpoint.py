"""Checkpoints: one safetensors file each, atomic, the last two kept.

A checkpoint holds tensors and, as metadata, where it was taken and the length of
metrics.jsonl at that moment. It is written beside training, from a copy. There is no
random state: see `infaug.randomness`.
"""

import json
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
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


class CheckpointWriter:
    """Writes checkpoints in a thread of its own, one at a time."""

    def __init__(self, write: Callable[[Position, int, Mapping[str, Tensor]], None]):
        self._write = write
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None

    def begin(
        self, position: Position, metrics_bytes: int, tensors: Mapping[str, Tensor]
    ) -> None:
        """Copy the tensors, which may change from then on, and begin to write.

        Raises:
            ValueError: if the checkpoint before could not be written.
        """
        self.wait()
        copies = {name: _copy(tensor) for name, tensor in tensors.items()}
        copied = torch.cuda.Event() if torch.cuda.is_initialized() else None
        if copied is not None:
            copied.record()

        def write() -> None:
            if copied is not None:
                copied.synchronize()
            self._write(position, metrics_bytes, copies)

        self._writing = self._thread.submit(write)

    def wait(self) -> None:
        """Until what was begun is written.

        Raises:
            ValueError: if it could not be.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """Let the thread end; whoever has not waited hears of no failure."""
        self._thread.shutdown()


def _copy(tensor: Tensor) -> Tensor:
    """On the CPU; of a GPU's tensor pinned, and complete once the GPU is there."""
    if tensor.device.type != "cuda":
        return tensor.detach().clone()
    pinned = torch.empty_like(tensor, device="cpu", pin_memory=True)
    return pinned.copy_(tensor.detach(), non_blocking=True)


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
