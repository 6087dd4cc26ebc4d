"""A whole run: every row and seed, one after another, and what came of it."""

import contextlib
import math
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infaug.cell import Cell
from infaug.comparison.generators import provide_generator
from infaug.comparison.plan import settle
from infaug.comparison.tasks import (
    GENERATOR,
    driver_for,
    features_for,
    generator_for,
    steps_of,
    tasks_of,
)
from infaug.comparison.verdict import comparisons, verdict
from infaug.config import RunConfig
from infaug.data.problem import Splits, divide
from infaug.data.source import Source, load
from infaug.generator_fit import GeneratorFit
from infaug.precision import pick_device
from infaug.record.display import Display
from infaug.record.folder import RunFolder
from infaug.record.journal import read_lines
from infaug.record.recorder import Recorder
from infaug.record.store import GeneratorStore
from infaug.rounds import assess, run_cell
from infaug.rows import RANDOM_ROWS, ROWS, Row, rows_of
from infaug.world import World


def run(
    config: RunConfig,
    out: Path,
    world: World | None = None,
    *,
    cache: Path | None = None,
    shown: bool = True,
) -> dict[str, Any]:
    """Run, or continue, everything `config` asks for; the result is also written.

    Every process of the world calls this with the same arguments. Finished cells are
    kept, the unfinished one continues from its last checkpoint.

    Args:
        config: what is asked for; `auto` values are settled here.
        out: the run folder.
        world: who takes part; None for the process group this process has joined.
        cache: where fitted generators of other runs are found and kept; None for none.
        shown: whether progress is printed.

    Returns:
        {"unit", "rows", "verdict", "seconds", "comparisons"}; see `summarise`.

    Raises:
        ValueError: for images, settings or folders that cannot work, and for a loss
            that is not finite.
    """
    world = world or World.joined()
    folder = RunFolder(out)
    world.first(lambda: folder.enter(config))
    if (finished := world.first(folder.result)) is not None:
        return finished
    with contextlib.ExitStack() as stack:
        world.first(lambda: stack.enter_context(folder.locked()))
        source = load(config.data)
        device = pick_device()
        settled = settle(config, source.train.image_shape, device)
        world.share(settled.classifier.batch_groups)
        world.first(lambda: folder.settle(settled))
        world.first(lambda: folder.list_unreadable(source.bad))
        store = GeneratorStore(cache) if cache else None
        _run_cells(settled, source, folder, store, world, device, shown=shown)
        return world.first(lambda: _finish(folder, settled))


def _run_cells(
    config: RunConfig,
    source: Source,
    folder: RunFolder,
    store: GeneratorStore | None,
    world: World,
    device: torch.device,
    *,
    shown: bool,
) -> None:
    tasks = tasks_of(config)
    steps = [steps_of(name, config) for name, _ in tasks]
    display = Display(steps, config.rounds.rounds, shown=shown and world.is_first)
    with contextlib.closing(Recorder(folder, config.rounds, world, display)) as kept:
        for number, (name, seed) in enumerate(tasks):
            if world.first(partial(folder.cell_result, name, seed)) is not None:
                display.skip_cell(number)
                continue
            splits = divide(source, config.data, seed)
            begin = partial(kept.begin_cell, number, name, seed)
            if name == GENERATOR:
                classifier = world.first(partial(features_for, config, seed, folder))
                fit = GeneratorFit(seed, splits, config, world, device, classifier)
                provide_generator(fit, begin, kept, store)
            else:
                _run_row(ROWS[name], seed, splits, config, world, device, begin, kept)


def _run_row(
    row: Row,
    seed: int,
    splits: Splits,
    config: RunConfig,
    world: World,
    device: torch.device,
    begin: Callable[[], dict[str, Tensor] | None],
    kept: Recorder,
) -> None:
    generator = world.first(partial(generator_for, row, config, seed, kept.folder))
    driver = world.first(partial(driver_for, row, config, seed, kept.folder))
    cell = Cell(row, seed, splits, config, world, device, generator, driver)
    if (state := begin()) is not None:
        cell.load(state)
    run_cell(cell, splits, kept)
    found = _assess_all(cell, splits)
    world.first(partial(kept.finish_cell, cell.weights(), found))
    kept.display.say(
        f"{row.name} seed {seed}: {found['test_top1']:.2f} % top-1 on test"
    )


def _assess_all(cell: Cell, splits: Splits) -> dict[str, Any]:
    """What a finished cell found; the only place where test images are looked at."""
    selection = assess(cell, splits.selection.to(cell.device))
    test = assess(cell, splits.test.to(cell.device))
    return {
        "row": cell.row.name,
        "seed": cell.seed,
        "selection_loss": selection.loss,
        "selection_top1": selection.accuracy,
        "test_loss": test.loss,
        "test_top1": test.accuracy,
    }


def _finish(folder: RunFolder, config: RunConfig) -> dict[str, Any]:
    result = summarise(folder, config)
    folder.finish(result)
    return result


def summarise(folder: RunFolder, config: RunConfig) -> dict[str, Any]:
    """Rows, verdict and seconds of a folder whose cells are all finished.

    `rows` maps each row to the mean, standard deviation (None for one seed) and values
    of its top-1 accuracy on test, percent, by seed. `base_random` is, for each seed,
    the better of random tau through the initial and the final G on the selection split.
    `seconds` sums the timings by phase; work that a crash made run twice counts twice.
    `generators`, if G was fitted adversarially, is how far each seed's flows reach.
    """
    seeds = range(config.seeds)
    found = {
        row.name: [_found(folder, row.name, seed) for seed in seeds]
        for row in rows_of(config)
    }
    chosen: dict[str, list[dict[str, Any]]] = {}
    for name, results in found.items():
        if name not in RANDOM_ROWS:
            chosen[name] = results
        elif "base_random" not in chosen:
            pairs = zip(*(found[r] for r in RANDOM_ROWS if r in found), strict=True)
            chosen["base_random"] = [
                max(pair, key=lambda result: result["selection_top1"]) for pair in pairs
            ]
    tops = {name: [r["test_top1"] for r in rs] for name, rs in chosen.items()}
    result = {
        "unit": "percent",
        "rows": {name: _statistics(values) for name, values in tops.items()},
        "verdict": verdict(tops),
        "seconds": _seconds(folder),
        "comparisons": [_finite(asdict(c)) for c in comparisons(tops)],
    }
    if config.adversarial.fit != "none":
        result["generators"] = [_found(folder, GENERATOR, seed) for seed in seeds]
    return result


def _found(folder: RunFolder, row: str, seed: int) -> dict[str, Any]:
    result = folder.cell_result(row, seed)
    assert result is not None, "every cell is finished by now"
    return result


def _statistics(values: list[float]) -> dict[str, Any]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": spread, "seeds": values}


def _seconds(folder: RunFolder) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for line in read_lines(folder.path / "timings.jsonl"):
        phase = line["phase"]
        seconds[phase] = round(seconds.get(phase, 0.0) + line["seconds"], 3)
    return seconds | {"total": round(sum(seconds.values()), 3)}


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: an unknown bound is null."""
    bad = (math.inf, -math.inf)
    return {k: None if v in bad else v for k, v in values.items()}
