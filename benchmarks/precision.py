"""Is bfloat16 autocast, is channels_last, worth it on this machine?

Prints milliseconds per step of F (two views) and of E for each combination, then one
JSON line. The defaults in `ClassifierConfig` follow it.

    python benchmarks/precision.py
"""

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import torch
import tyro

from infaug.config import ClassifierConfig, RunConfig
from infaug.data.dataset import Labelled
from infaug.data.problem import Splits
from infaug.experiment.plan import resolve_config
from infaug.precision import pick_device
from infaug.training.alternation import classify, estimate
from infaug.training.methods import METHODS
from infaug.training.state import Training
from infaug.world import World


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is timed."""

    size: int = 28
    """Image side, pixels."""
    channels: int = 1
    """1 or 3."""
    repeats: int = 7
    """Interleaved repetitions; the median is reported."""
    steps: int = 8
    """Steps in each repetition."""


def noise_splits(settings: Settings) -> Splits:
    """Images whose content does not matter."""
    generator = torch.Generator().manual_seed(0)
    shape = (256, settings.channels, settings.size, settings.size)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    names = tuple(map(str, range(10)))
    part = Labelled(images, torch.arange(256) % 10, names)
    return Splits(part, part, part, part, images[:0])


def seconds_per_step(steps: Iterator[object], count: int) -> float:
    """Mean time of the next `count` steps."""
    began = time.perf_counter()
    for _ in range(count):
        next(steps)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / count


def main(settings: Settings) -> None:
    """Time every combination, interleaved."""
    splits, device = noise_splits(settings), pick_device()
    many = range(10**9)
    loops: dict[tuple[str, str, bool], Iterator[object]] = {}
    for precision, last in product(("float32", "bfloat16"), (False, True)):
        chosen = ClassifierConfig(precision=precision, channels_last=last)
        config = resolve_config(
            replace(RunConfig(), classifier=chosen), splits.train.image_shape, device
        )
        training = Training(METHODS["base_learned"], 0, splits, config, World(), device)
        loops["F", precision, last] = classify(training, 0, many, splits.selection)
        other = Training(METHODS["base_learned"], 0, splits, config, World(), device)
        other.s_val = torch.randn_like(other.s_val)
        loops["E", precision, last] = estimate(other, 0, many)
    for loop in loops.values():
        seconds_per_step(loop, settings.steps)  # Warm up.
    times = {key: [] for key in loops}
    for _ in range(settings.repeats):
        for key, loop in loops.items():
            times[key].append(seconds_per_step(loop, settings.steps))
    rows = []
    for (network, precision, last), values in times.items():
        milliseconds = 1000 * statistics.median(values)
        rows.append(
            {
                "network": network,
                "precision": precision,
                "channels_last": last,
                "ms": round(milliseconds, 2),
            }
        )
        layout = "channels_last" if last else "contiguous"
        print(f"{network}  {precision:<9} {layout:<14} {milliseconds:8.2f} ms")
    print(json.dumps({"device": str(device), "rows": rows}))


if __name__ == "__main__":
    main(tyro.cli(Settings))
