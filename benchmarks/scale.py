"""What does infaug add to a plain DDP loop?

    python benchmarks/scale.py                       # tables
    python benchmarks/scale.py --json                # one line at the end
    python benchmarks/scale.py --problems resnet50   # on GPUs

Steady state: steps of F by infaug and by a plain DistributedDataParallel loop with the
same network, batch, optimizer, views and number format take turns in the same
processes, which are connected by gloo on CPUs, one thread each, and by NCCL on GPUs.
Both train the row `base`: two views of every image. DDP normalises each process's part
of a batch by itself, so infaug has as many batch groups as processes; `grouped` has the
default ones, which do not depend on who takes part. The median of the paired ratios is
reported with the interval that holds it with 95 % (order statistics). Images are noise.

Apart from that: the start on Ray; a checkpoint of the learned row's whole state; and
what keeping the books costs (metrics, timings, TensorBoard, the status line), a share
of the steps of a run.
"""

import json
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro
from paired import ratio
from scale_apart import books, checkpoint, start_up
from scale_steps import PROBLEMS, compare
from torch.multiprocessing.spawn import spawn


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is timed."""

    problems: tuple[str, ...] = ("allconv", "resnet56")
    """allconv: MNIST's network, 28 px; resnet56: 32 px; resnet50: 224 px."""
    workers: tuple[int, ...] = (1, 2)
    """Processes that train together."""
    seconds_a_turn: float = 2.0
    """About as long, by the first steps."""
    steps: int | None = None
    """Steps of a turn, in place of that."""
    batch_size: int | None = None
    """Images of a step, in place of the problem's: 16 of resnet50 on CPUs."""
    repeats: int = 15
    """Turns that each way takes."""
    checkpoints: tuple[str, ...] = ("allconv", "resnet50")
    """Whose checkpoints are timed; none: none."""
    books_steps: int = 400
    """Steps of a run whose books are timed; 0: none."""
    ray: bool = True
    """Whether the start on Ray is timed."""
    json: bool = False
    """Print one line of JSON and nothing else."""


def paired_steps(
    name: str, batch_size: int, workers: int, steps: int, repeats: int
) -> dict[str, Any]:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        how = workers, place, name, batch_size, steps, repeats
        spawn(compare, how, nprocs=workers)
        seconds = json.loads((place / "seconds.json").read_text())
    images = batch_size * steps
    return {
        "problem": name,
        "workers": workers,
        "steps": steps,
        "images_a_second": {
            way: images / statistics.median(found) for way, found in seconds.items()
        },
        "seconds_over_ddp": {
            way: ratio(found, seconds["ddp"])
            for way, found in seconds.items()
            if way != "ddp"
        },
        "seconds": seconds,
    }


def batch_of(settings: Settings, name: str) -> int:
    """Images of a step of a problem."""
    return settings.batch_size or PROBLEMS[name].batch_size


def steps_of_turn(settings: Settings, name: str, workers: int) -> int:
    """As many as take about the seconds asked for."""
    if settings.steps is not None:
        return settings.steps
    tried = paired_steps(name, batch_of(settings, name), workers, 1, 3)
    each = statistics.median(tried["seconds"]["ddp"])
    return max(1, round(settings.seconds_a_turn / each))


def show(found: dict[str, Any]) -> None:
    """For people."""
    print("problem   workers  images/s: infaug, DDP    seconds over DDP's")
    for row in found["steps"]:
        rates, over = row["images_a_second"], row["seconds_over_ddp"]
        said = ", ".join(
            f"{way} {middle:.3f} ({low:.3f} to {high:.3f})"
            for way, (middle, low, high) in over.items()
        )
        print(
            f"{row['problem']:<9} {row['workers']:<8} {rates['infaug']:<10.1f} "
            f"{rates['ddp']:<13.1f} {said}"
        )
    for name, cost in found["checkpoints"].items():
        print(
            f"checkpoint of {name}: {cost['seconds']:.3f} s, {cost['mib']:.0f} MiB; at "
            "the default interval under 1 % where a step takes over "
            f"{cost['one_percent_s']:.3f} s"
        )
    for name, kept in found["books"].items():
        parts = kept["seconds_a_step"].items()
        print(
            f"books of {name}: {kept['record_share']:.2%} of a step; ms a step: "
            + ", ".join(f"{part} {1e3 * spent:.2f}" for part, spent in parts)
        )
    for workers, seconds in found["start_up"].items():
        said = ", ".join(f"{name} {spent:.1f}" for name, spent in seconds.items())
        print(f"start with {workers} workers: {said}")


def main(settings: Settings) -> None:
    """Measure and print."""
    rows = []
    for name in settings.problems:
        for workers in settings.workers:
            steps = steps_of_turn(settings, name, workers)
            size, repeats = batch_of(settings, name), settings.repeats
            rows.append(paired_steps(name, size, workers, steps, repeats))
    num_books = settings.books_steps
    found = {
        "steps": rows,
        "checkpoints": {n: checkpoint(n, 5) for n in settings.checkpoints},
        "books": {
            n: books(n, num_books) for n in settings.problems[:1] if num_books > 0
        },
        "start_up": {n: start_up(n) for n in settings.workers if settings.ray},
    }
    if not settings.json:
        show(found)
        sys.stdout.flush()
    print(json.dumps({"settings": asdict(settings), **found}))


if __name__ == "__main__":
    main(tyro.cli(Settings))
