"""The folder of one training inside an experiment: everything it writes of its own.

RUN/trainings/METHOD-seedK/metrics.jsonl      losses and influence by round, phase, step
RUN/trainings/METHOD-seedK/timings.jsonl      seconds by phase
RUN/trainings/METHOD-seedK/starts.jsonl       each time it began
RUN/trainings/METHOD-seedK/checkpoints/       the last two, until it is finished
RUN/trainings/METHOD-seedK/*.safetensors      weights of F and of E and G
RUN/trainings/METHOD-seedK/judged.safetensors what F says of the fold that it judges
RUN/trainings/METHOD-seedK/result.json        written last: the training is finished
RUN/trainings/METHOD-final/                   the chosen method on all labelled images
"""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from infaug.lock import locked
from infaug.record.atomic import read_json, write_json, write_tensors, writing
from infaug.record.journal import read_lines

LOCK_WAIT_S = 60.0  # for a process that a killed driver left behind


def training_name(method: str, seed: int, folds: int | None) -> str:
    """What people call a training; seeds go through `folds`, if there are any.

    >>> training_name("pooled", 2, folds=0), training_name("pooled", -1, folds=0)
    ('pooled seed 2', 'pooled on all images')
    >>> training_name("pooled", 2, folds=3), training_name("pooled", 3, folds=3)
    ('pooled fold 3/3', 'pooled fold 1/3, division 2')
    """
    if seed < 0:
        return f"{method} on all images"
    if not folds:
        return f"{method} seed {seed}"
    division, fold = divmod(seed, folds)
    again = f", division {division + 1}" if division else ""
    return f"{method} fold {fold + 1}/{folds}{again}"


class TrainingFolder:
    """Paths of a training, and what is read and written there.

    `push` is called whenever something was written that must outlive this machine.
    """

    def __init__(
        self, run: Path, method: str, seed: int, push: Callable[[], None] | None = None
    ):
        self.run, self.method, self.seed = run, method, seed
        name = f"{method}-final" if seed < 0 else f"{method}-seed{seed}"
        self.path = run / "trainings" / name
        self.checkpoints = self.path / "checkpoints"
        self._push = push

    def push(self) -> None:
        """Copy what has changed to the experiment's URL, if it has one."""
        if self._push:
            self._push()

    def result(self) -> dict[str, Any] | None:
        """What the training found, or None while it is not finished."""
        return read_json(self.path / "result.json")

    def weights(self, part: str) -> dict[str, Tensor]:
        """What a finished training kept as `part`."""
        return load_file(self.path / f"{part}.safetensors")

    def enter(self) -> None:
        """Make the folder.

        Raises:
            ValueError: if it cannot be written.
        """
        with writing(self.run):
            self.path.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """The folder to ourselves, once a process of a killed driver has ended.

        Raises:
            ValueError: if another process goes on writing here.
        """
        self.enter()
        refusal = f"another process is training in {self.path}: wait for it"
        with locked(self.path / "lock", refusal, LOCK_WAIT_S):
            yield

    def finish(
        self, weights: Mapping[str, Mapping[str, Tensor]], result: dict[str, Any]
    ) -> None:
        """Keep the weights and, last, the result; then drop the checkpoints.

        Raises:
            ValueError: if the folder cannot be written.
        """
        self.enter()
        with writing(self.run):
            for part, tensors in weights.items():
                write_tensors(self.path / f"{part}.safetensors", tensors)
            write_json(self.path / "result.json", result)
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        self.push()


def lines_of(run: Path, name: str) -> list[dict[str, Any]]:
    """The lines of all trainings in a file that each has, in order of seeds, names."""
    paths = sorted(run.glob(f"trainings/*/{name}"), key=_seed_and_name)
    return [line for path in paths for line in read_lines(path)]


def _seed_and_name(path: Path) -> tuple[int, str]:
    """Sorts files of trainings.

    >>> _seed_and_name(Path("trainings/base-seed12/metrics.jsonl"))
    (12, 'base')
    """
    name, _, seed = path.parent.name.rpartition("-")
    number = seed.removeprefix("seed")
    return int(number) if number.isdecimal() else sys.maxsize, name


def progress_of(run: Path) -> str:
    """What is finished and kept, in words; it changes with every checkpoint."""
    done = len(list(run.glob("trainings/*/result.json")))
    kept = run.glob("trainings/*/checkpoints/*.safetensors")
    newest = {p.parent.parent.name: p.stem for p in sorted(kept)}
    where = ", ".join(f"{name}/{number}" for name, number in newest.items())
    return f"{done} trainings done, newest checkpoint {where or 'none'}"
